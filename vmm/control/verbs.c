/*
 * The table of bhctl's verbs, and those that no other file has; each the twin of one in
 * vmm/root/control_verbs.c: turns arguments into a request and the answer into text or JSON. May
 * call: link.c, keys.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bhctl.h"

#define ARGS_MAX 1000

/* ---- type ---- */

static void type(const struct options *o, int argc, char **argv)
{
    struct stroke s;

    for (int i = 1; i < argc; i++) /* all of it first: nothing is typed half */
        for (const char *text = argv[i]; *text != '\0';)
            if (!keys_next(&text, &s))
                die(EXIT_USAGE, "no key is known for '%.20s'; see bhctl type --help", text);
    link_open(o);
    for (int i = 1; i < argc; i++) {
        for (const char *text = argv[i]; *text != '\0';) {
            if (!keys_next(&text, &s)) break;
            link_ask(BH_WIRE_TYPE, argv[0], s.events, (uint32_t)(s.count * sizeof(s.events[0])),
                     NULL, NULL);
            if (o->delay_ms) (void)usleep(o->delay_ms * 1000u);
        }
    }
}

#define PAST(did) "    bhctl " did "\n"
#define A_VM      "the VM, as in list"

const struct verb verbs[] = {
    {"list", "", "the VMs and how they are", 0, 0, verb_list, "",
     "States: created (never started), starting (waits for its time or for others), running,\n"
     "paused, stopping, stopped, crashed.\n",
     PAST("list") PAST("--json list"),
     "array of VMs: name, label, state, cpus, memory_mib, memory_has_mib, restarts; while stopping "
     "left_ms; when "
     "stopped or crashed status, reason"},
    {"status", "", "what is protected and what is not, the system, the VMs", 0, 0, verb_status, "",
     "The words are the boot log's.\n", PAST("status"),
     "protections: array of on, words; system: as version's; vms: as list's"},
    {"start", "VM", "start the VM, and first those it is after", 1, 1, verb_start, "", "",
     PAST("start work"), A_VM},
    {"stop", "VM", "press its power button; kill it if it has not stopped in time", 1, 1, verb_stop,
     "--timeout=S", "Without --timeout the manifest's stop-wait-s counts.\n",
     PAST("stop work") PAST("stop work --timeout=5"), A_VM},
    {"kill", "VM", "end the VM at once, whatever it does", 1, 1, verb_kill, "", "",
     PAST("kill work"), A_VM},
    {"restart", "VM", "stop it as stop does, then start it anew", 1, 1, verb_restart, "--timeout=S",
     "", PAST("restart work") PAST("restart work --timeout=1"), A_VM},
    {"pause", "VM", "let the VM stand still; no time passes for it", 1, 1, verb_pause, "",
     "Its screen can be looked at, and it can be saved, meanwhile.\n", PAST("pause work"), A_VM},
    {"resume", "VM", "let a paused VM go on", 1, 1, verb_resume, "", "", PAST("resume work"), A_VM},
    {"shutdown", "", "stop all VMs, in order, each within its time; then the system ends", 0, 0,
     verb_shutdown, "", "A VM is stopped when no VM is left that is after it.\n", PAST("shutdown"),
     "null"},
    {"stats", "", "what the VMs use: time, exits, memory, and what their wires carry", 0, 0,
     verb_stats, "",
     "lost: sent while the wire was down; dropped: received, but not for the guest; refused: sent, "
     "and no\nframes; waits: how often a frame has found no room.\n",
     PAST("stats") PAST("--json stats"),
     "array of VMs: name, state, cpus, starts, restarts, now_ns, uptime_ns, cpu_ns, memory_bytes, "
     "memory_max_bytes, kernel_bytes, exits (object: reason: how often), wires (array of name, "
     "peer, up, ups, "
     "sent_frames, sent_bytes, received_frames, received_bytes, lost, dropped, refused, "
     "send_waits, receive_waits)"},
    {"top", "", "the same as a picture, again and again, until it is interrupted", 0, 0, verb_top,
     "--interval=S --count=N", "CPU is in percent of one CPU, since the line before.\n",
     PAST("top") PAST("top --interval=0.5 --count=10"),
     "array of pictures, each an array of name, state, cpu_percent, exits_per_s, memory_bytes, "
     "memory_max_bytes, wires (array of name, up, sent_per_s, received_per_s: bytes)"},
    {"audit", "", "the records: starts, stops, crashes, requests, refusals; JSON, one a line", 0, 0,
     verb_audit, "--from=N --follow",
     "The last 128 are kept; the log (COM2) has all. Fields seq and us (since root's start) are in "
     "each.\n",
     PAST("audit") PAST("audit --follow") PAST("audit --from=17"), "array of records"},
    {"manifest", "", "the manifest that the system was started with", 0, 0, verb_manifest, "",
     "As source; what dtc makes of it is the same again.\n", PAST("manifest >now.dts"),
     "the nodes as objects; properties as numbers, texts, arrays, true"},
    {"screenshot", "VM FILE", "write the VM's screen to a PNG file; -: to stdout", 2, 2,
     verb_screenshot, "", "", PAST("screenshot work work.png"), "width, height, text"},
    {"text", "VM", "the characters on the VM's screen", 1, 1, verb_text, "", "", PAST("text work"),
     "array of lines"},
    {"type", "VM TEXT...", "type on the VM's keyboard", 2, ARGS_MAX, type, "--delay=MS",
     "TEXT is typed as on a US keyboard; between < and > stand names of keys, joined by '-'.\n"
     "--delay (before the verb): pause after each key, default 20 ms.\n",
     PAST("type work 'ls -l<enter>'") PAST("type work '<ctrl-alt-del>'"), "null"},
    {"save", "VM [FILE]", "save the VM to its store, and from there to a file; it goes on", 1, 2,
     verb_save, "",
     "The store is the manifest's save-mib; the VM stands still until it is there.\n",
     PAST("save work") PAST("save work work.vm"), "bytes"},
    {"restore", "VM [FILE]", "make the VM anew as it was saved; what it has done since is lost", 1,
     2, verb_restore, "",
     "From its store, or from a file, which first goes there. What is damaged, cut off or of\n"
     "another VM, CPU model or configuration is refused, and a VM that runs goes on.\n",
     PAST("restore work") PAST("restore work work.vm"), "null"},
    {"console", "VM", "the VM's console on this terminal, until Ctrl-\\ is typed", 1, 1,
     verb_console, "--timeout=S",
     "What the console has said is shown first, as far as it is kept (64 KiB of up to 8 VMs each,\n"
     "less of more). Without a terminal standard input is typed, and it ends when that has ended "
     "and\n"
     "the VM has said nothing for a second (or --timeout). Others can use bhctl meanwhile.\n",
     PAST("console work") "    echo reboot | bhctl console work\n", "text"},
    {"version", "", "versions of bhctl and of the system, and the machine", 0, 0, verb_version, "",
     "", PAST("version"),
     "wire, abi, backend, cpus, tsc_khz, memory_bytes, pool_bytes, now_ns, root_cpu_ns, may"},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
