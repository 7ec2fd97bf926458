"""Uploads of strangers: read by content, within limits, and never by a name of theirs."""

from __future__ import annotations

import io
import json
import stat
import struct
import tarfile
import zipfile

import pytest

from registry.site import uploads
from registry.site.fields import MAX_ROWS
from registry.site.pages import templates
from registry.site.sheets import read_sheet
from registry.site.uploads import UploadRefusedError, read_folder

VALUES = "id,statement,rationale,strength,agreement,n,dissent\n"
ROW = 'water,"Water, for all.",,5,0.9,84,\n'
PROFILE = b"schema_version: '2'\nid: river-valley\n"


def packed(members: dict[str, bytes], change=None) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    out.seek(0)
    return out


def refusal(stream) -> str:
    with pytest.raises(UploadRefusedError) as caught:
        read_folder(stream)
    return str(caught.value)


class TestFolder:
    @pytest.mark.parametrize("top", ["", "river-valley/", "whatever they called it/"])
    @pytest.mark.parametrize("content", ["", "content/"])
    def test_a_packed_profile_is_read_wherever_it_lies(self, top, content):
        members = {f"{top}profile.yaml": PROFILE, f"{top}{content}values.csv": b"x",
                   f"{top}{content}evaluation/opinions.csv": b"y"}  # fmt: skip
        folder = read_folder(packed(members))
        assert folder.profile == PROFILE
        assert folder.tables == {"values": b"x", "held-out": b"y"}

    def test_what_systems_leave_behind_is_left_out(self):
        members = {"p/profile.yaml": PROFILE, "__MACOSX/p/._profile.yaml": b"", "p/.DS_Store": b""}
        assert read_folder(packed(members)).tables == {}

    def test_a_profile_by_itself_is_read(self):
        assert read_folder(io.BytesIO(PROFILE)).profile == PROFILE

    @pytest.mark.parametrize(
        "name",
        ["../profile.yaml", "/etc/passwd", "a/../../profile.yaml", "dvc.yaml", ".git/config",
         "C:\\profile.yaml", "\\\\host\\profile.yaml", "content/../profile.yaml", "./profile.yaml",
         "a/b/profile.yaml", "events/0001-accepted.yaml", "PROFILE.YAML", "values.csv/",
         "content.dvc", "profile.yaml "],
    )  # fmt: skip
    def test_other_names_are_refused(self, name):
        with pytest.raises(UploadRefusedError):
            read_folder(packed({"x/profile.yaml": PROFILE, name: b"x"}))

    def test_a_name_with_a_nul_is_refused(self):
        raw = packed({"profile.yamlX.sh": b"x"}).getvalue().replace(b"yamlX.sh", b"yaml\0.sh")
        assert "holds 'profile.yaml\ufffd.sh'" in refusal(io.BytesIO(raw))

    def test_a_member_that_is_there_twice_is_refused(self):
        out = packed({"values.csv": b"a", "content/values.csv": b"b"})
        assert "twice" in refusal(out)

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_links_and_devices_are_refused(self, kind):
        def change(info):
            info.create_system = 3
            info.external_attr = (kind | 0o777) << 16

        stream = packed({"profile.yaml": b"/etc/passwd"}, change)
        assert "a link or a device" in refusal(stream)

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    def test_a_tar_is_refused_with_the_link_in_it(self, mode):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as archive:
            link = tarfile.TarInfo("profile.yaml")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
        out.seek(0)
        assert "neither a zip nor" in refusal(out)

    def test_a_bomb_is_refused_while_it_is_unpacked(self):
        bomb = packed({"norms.csv": b"0" * (33 * 2**20)})
        assert len(bomb.getvalue()) < 40_000
        assert "unpacks to more" in refusal(bomb)

    def test_a_bomb_of_several_members_is_refused(self):
        each = b"0" * (3 * 2**20)
        bomb = packed({"norms.csv": each, "values.csv": each, "guidance.csv": each})
        assert "unpacks to more" in refusal(bomb)

    def test_a_bomb_that_lies_about_its_size_is_refused(self):
        raw = bytearray(packed({"norms.csv": b"0" * (33 * 2**20)}).getvalue())
        at = raw.index(b"PK\1\2")
        raw[at + 24 : at + 28] = struct.pack("<I", 10)
        assert refusal(io.BytesIO(bytes(raw)))

    def test_a_great_many_members_are_refused_before_they_are_listed(self, monkeypatch):
        many = packed({f"{number:05}.csv": b"" for number in range(3000)})
        monkeypatch.setattr(zipfile, "ZipFile", None)
        assert "more than 64 files" in refusal(many)

    def test_a_hidden_list_of_members_is_refused(self):
        raw = packed({"profile.yaml": PROFILE}).getvalue()
        assert "not read" in refusal(io.BytesIO(raw + b"PK\x05\x06" + b"\0" * 17 + b"x"))

    def test_an_encrypted_member_is_refused(self):
        raw = bytearray(packed({"profile.yaml": PROFILE}).getvalue())
        raw[raw.index(b"PK\1\2") + 8] |= 1
        assert "encrypted" in refusal(io.BytesIO(bytes(raw)))

    @pytest.mark.parametrize("cut", [30, 60, 90])
    def test_a_damaged_zip_is_refused(self, cut):
        raw = packed({"profile.yaml": PROFILE * 20}).getvalue()
        refusal(io.BytesIO(raw[:cut] + raw[cut + 5 :]))

    def test_a_profile_that_is_too_large_is_refused(self):
        assert "larger than 256 KiB" in refusal(io.BytesIO(b"a: b\n" * 100_000))

    def test_nothing_is_larger_in_memory_than_its_limit(self, monkeypatch):
        monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
        assert "unpacks to more" in refusal(packed({"norms.csv": b"0" * 1001}))


def sheet_refusal(raw: bytes, name: str = "values") -> list[tuple[str, int | None]]:
    with pytest.raises(UploadRefusedError) as caught:
        read_sheet(raw, name)
    return [(finding.what, finding.line) for finding in caught.value.findings]


class TestSheet:
    @pytest.mark.parametrize("name", sorted(templates()))
    def test_the_template_of_each_table_is_read(self, name):
        sheet = read_sheet(templates()[name], name.removesuffix(".csv"))
        assert len(sheet.rows) == 1 or sheet.raw

    def test_what_a_spreadsheet_writes_is_read(self):
        raw = ("\ufeff" + (VALUES + ROW).replace("\n", "\r\n")).encode()
        assert read_sheet(raw, "values").rows[0]["statement"] == "Water, for all."

    @pytest.mark.parametrize("mark", [";", "\t"])
    def test_columns_parted_by_something_else_are_read(self, mark):
        raw = VALUES.replace(",", mark) + "water|Water, for all.||5|0,9|84|\n".replace("|", mark)
        assert read_sheet(raw.encode(), "values").rows[0]["agreement"] == "0,9"

    def test_examples_in_a_spreadsheet_become_jsonl_where_they_are_many(self):
        head = "id,prompt,preferred,dispreferred,values,author,item\n"
        rows = "".join(f"e-{n},May I?,Yes.,No.,a b,baker,\n" for n in range(MAX_ROWS + 1))
        sheet = read_sheet((head + rows).encode(), "examples")
        assert sheet.shifted
        first = json.loads(sheet.raw.splitlines()[0])
        assert first == {"id": "e-0", "prompt": "May I?", "preferred": "Yes.",
                         "dispreferred": "No.",
                         "values": ["a", "b"], "author": "baker"}  # fmt: skip

    def test_a_long_table_stays_the_file_it_is(self):
        raw = (VALUES + ROW * (MAX_ROWS + 1)).encode()
        assert read_sheet(raw, "values").raw == raw

    @pytest.mark.parametrize(
        ("raw", "what", "line"),
        [
            (VALUES.encode() + b"a,caf\xe9,,1,1,1,\n", "is not UTF-8 text", 2),
            ((VALUES + ROW).encode("utf-16"), "is UTF-16 text", None),
            (VALUES.encode() + b"a,\0,,1,1,1,\n", "holds a NUL byte", 2),
            (b"PK\x03\x04rest", "workbook", None),
            (b"\xd0\xcf\x11\xe0rest", "old workbook", None),
            (b"", "is empty", None),
            (b" \n\n", "is empty", None),
            (b"id,statement\n", "has the columns id, statement", 1),
            (VALUES.encode() + b"a,b\n", "has 2 cells where the first line has 7", 2),
            (VALUES.encode() + b'a,"b\n', "is no CSV here", 2),
            (b"<html><script>alert(1)</script></html>", "has the columns <html>", 1),
        ],
    )
    def test_what_is_no_table_is_not_taken_and_says_why(self, raw, what, line):
        ((said, at),) = sheet_refusal(raw)
        assert what in said
        assert at == line

    @pytest.mark.parametrize("raw", [b"{nope}", b'{"id": "a"}\n[1]{', b"{" * 5000])
    def test_what_is_no_jsonl_is_not_taken(self, raw):
        assert any("is no JSON object" in what for what, _ in sheet_refusal(raw, "examples"))

    def test_json_with_more_than_text_is_left_to_the_checker(self):
        raw = b'{"id": 3, "prompt": {"a": 1}}\n'
        assert read_sheet(raw, "examples").raw == raw
