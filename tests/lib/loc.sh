#!/bin/sh
# Lines of code of the kernel: kernel/ and iommu/, .c .h .S and generated files, as clang-format lays
# them out, without comments and blank lines. Fails at the limit.
set -eu
limit=8000
export LC_ALL=C
out=build/loc
format=$(command -v clang-format-14 || command -v clang-format)

rm -rf "$out"
mkdir -p "$out"
folders=kernel
[ ! -d iommu ] || folders='kernel iommu'
# shellcheck disable=SC2086
files=$(find $folders -name '*.[chS]')
[ -n "$files" ] || { echo "loc: no sources"; exit 0; }
generated=$(find build/kernel -name '*.[chS]' -not -name '*-empty.S' 2>/dev/null || true)
# shellcheck disable=SC2086
tar -cf - $files $generated | tar -xf - -C "$out"
cp .clang-format "$out/"
find "$out" -name '*.[ch]' -exec "$format" --style=file -i {} +
rm "$out/.clang-format"
# cloc knows .S as assembly; --skip-uniqueness: a file counts even if it equals another.
cloc --quiet --skip-uniqueness --by-file-by-lang --force-lang='C,h' "$out" >"$out/report"
sed -n '/Language/,$p' "$out/report"
total=$(awk '/^SUM:/ { sum = $NF } END { print sum + 0 }' "$out/report")
echo "kernel + iommu: $total lines of code, limit $limit"
[ "$total" -lt "$limit" ]
