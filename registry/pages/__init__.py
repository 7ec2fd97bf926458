"""The reviewer's pages: a static site of releases, artifacts and profiles, verdict first.

`build` reads a project and writes a folder that opens from a disk, with or without scripts.
"""
