#!/bin/sh
# Every committed or new .c and .h file is laid out as .clang-format says. Changes nothing.
set -eu
format=$(command -v clang-format-14 || command -v clang-format)
git ls-files -z --cached --others --exclude-standard '*.c' '*.h' |
    xargs -0 -r sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh |
    xargs -0 -r "$format" --style=file --dry-run -Werror
