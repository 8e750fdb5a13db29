/*
 * Saving in the midst of a run: an input that asks for it runs twice, as if nothing were saved, and
 * with all devices going on as fresh ones that their state is loaded into. Both must show the guest
 * the same from step to step, and end in the same state. Included once per target.
 */
#ifndef TESTS_FUZZ_SAVED_H
#define TESTS_FUZZ_SAVED_H

#include "input.h"
#include "vmm/monitor/save_file.h"

#define SAVED_STEPS_MAX  2000u
#define SAVED_FILE_BYTES 0x10000u

/** What is saved, in the order it is loaded in. */
struct saved_part {
    const struct dev_state *state;
    void *dev;
};

static struct {
    bool asked;  /* the input has a step that saves */
    bool moving; /* the second run: it is carried out */
    uint64_t sum, sum_at[SAVED_STEPS_MAX + 1u];
} saved;

/** The guest sees this value, or something outside does. */
static void show(uint64_t value)
{
    saved.sum = (saved.sum ^ value) * 0x9e3779b97f4a7c15u;
    saved.sum ^= saved.sum >> 29;
}

/** Between two steps. @step below SAVED_STEPS_MAX + 1 */
static void show_step(unsigned step)
{
    if (saved.moving)
        CHECK(saved.sum == saved.sum_at[step]); /* what is not saved shows */
    else
        saved.sum_at[step] = saved.sum;
}

/** To one of three files. @return its length */
static uint64_t save_parts(unsigned file, const struct saved_part *parts, unsigned count,
                           uint8_t **bytes)
{
    static uint8_t files[3][SAVED_FILE_BYTES] __attribute__((aligned(8)));
    static const struct save_header header;
    struct save_file f;
    uint64_t length;

    save_begin(&f, files[file], SAVED_FILE_BYTES);
    for (unsigned i = 0; i < count; i++) save_state(&f, parts[i].state, parts[i].dev, i);
    length = save_end(&f, &header);
    CHECK(length != 0);
    *bytes = files[file];
    return length;
}

/** All of the parts become fresh, and what they were. */
static void move_parts(const struct saved_part *parts, unsigned count, void (*fresh)(void))
{
    uint8_t *bytes, *again;
    uint64_t length = save_parts(0, parts, count, &bytes);
    struct save_header header;
    struct save_file f;

    fresh();
    CHECK(save_open(&f, bytes, length, NULL, &header));
    for (unsigned i = 0; i < count; i++)
        CHECK(save_load_state(&f, parts[i].state, parts[i].dev, i));
    CHECK(save_close(&f));
    CHECK(save_parts(1, parts, count, &again) == length && memcmp(again, bytes, length) == 0);
}

/** @param run all of the input, from a fresh start */
static void run_twice(void (*run)(struct input in), struct input in, const struct saved_part *parts,
                      unsigned count)
{
    uint8_t *bytes, *again;
    uint64_t length;

    saved.asked = saved.moving = false;
    saved.sum = 0;
    run(in);
    if (!saved.asked) return;
    length = save_parts(2, parts, count, &bytes);
    saved.moving = true;
    saved.sum = 0;
    run(in);
    CHECK(save_parts(0, parts, count, &again) == length && memcmp(again, bytes, length) == 0);
}

#endif
