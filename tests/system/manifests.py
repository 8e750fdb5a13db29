"""Wrong input is refused with words that say what and where, on the build machine and by root."""
import os

from case import case, check

CHECKER = os.environ.get("BHMANIFEST", "build/policy/bhmanifest")


@case(cost=5)
def rules(t):
    """Every rule has an example that breaks only it, and one that keeps it."""
    t.command("tests/system/manifest/check.sh", CHECKER, "dtc", t.new_dir())


@case(cost=2)
def missing_image(t):
    source = os.path.join(t.new_dir(), "missing.dts")
    with open("guests/demo.dts", encoding="utf-8") as f:
        text = f.read()
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.replace("initrd.cpio", "nowhere.cpio"))
    said = t.command("tests/lib/run.py", f"--manifest={source}", "--dry", ok=(2,))
    check("nowhere.cpio" in said and "not found" in said, "names the image: " + said)


@case(cost=2)
def syntax_error(t):
    source = os.path.join(t.new_dir(), "wrong.dts")
    with open(source, "w", encoding="utf-8") as f:
        f.write("/dts-v1/;\n/ {\n    vms {\n")
    said = t.command("tests/lib/run.py", f"--manifest={source}", "--dry", ok=(2,))
    check("wrong.dts:" in said, "names file and line: " + said)
