#!/bin/sh
# A scratch project whose four communities are the parties of the 2020 survey: result A again, in docs/results.md.
#   sh docs/experiments/parties/set-up.sh NEW-FOLDER nonvoters_data.csv
# The profiles name a party, so they are sensitive: keep the project, and what it makes, to yourself.
set -eu
test $# -eq 2 || { sed -n '3s/#  //p' "$0" >&2; exit 2; }
codebook=$(cd "$(dirname "$0")" && pwd)/codebook.yaml
answers=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
chorus init "$1" && cd "$1"
rm -r value_profiles/*
chorus profile import survey "$answers" --codebook "$codebook" \
    --group Q30 --weight weight --id RespId --sensitive party
for id in party-republican party-democrat party-independent party-none; do
    chorus profile submit "$id" --by maintainer:1 --reason "A scratch import for result A."
    for who in maintainer:1 maintainer:2; do
        chorus profile review "$id" --by "$who" --floor-seen --reason "Read for a scratch run of result A."
    done
    chorus profile admit "$id" --by maintainer:1 --by maintainer:2 --reason "A scratch run; it is not published."
done
chorus sync
echo "Now: cd $1 && chorus make faithful --upstream"
