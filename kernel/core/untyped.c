/*
 * Untyped memory: see untyped.h.
 */
#include "untyped.h"

#define THREAD_UNITS (BH_THREAD_BYTES / UNIT_BYTES)
#define SC_UNITS     (BH_SC_BYTES / UNIT_BYTES)
#define VCPU_UNITS   (BH_VCPU_BYTES / UNIT_BYTES)

/*@ assigns \nothing;
    ensures value: bits <= RETYPE_ALIGN_BITS_MAX ==> \result == p2(bits);
    ensures range: 1 <= \result <= 0x40000; */
static uint64_t pow2(uint32_t bits)
{
    uint64_t n = 1;
    uint32_t i;

    /*@ loop invariant 0 <= i <= RETYPE_ALIGN_BITS_MAX && (bits <= RETYPE_ALIGN_BITS_MAX ==> i <= bits);
        loop invariant value: n == p2(i) && 1 <= n <= 0x40000;
        loop assigns i, n;
        loop variant RETYPE_ALIGN_BITS_MAX - i; */
    for (i = 0; i < bits && i < RETYPE_ALIGN_BITS_MAX; i++) n = n * 2u;
    return n;
}

/* Size of one CNode of 2^bits slots; 0: not allowed. */
/*@ assigns \nothing;
    ensures value: \result == u_kernel(BH_CAP_CNODE, bits);
    ensures cnode: \result <= CNODE_SLOTS_MAX; */
static uint64_t cnode_units(uint32_t bits)
{
    uint64_t n;

    if (bits > RETYPE_ALIGN_BITS_MAX) return 0;
    n = pow2(bits);
    return n < CNODE_SLOTS_MIN || n > CNODE_SLOTS_MAX ? 0 : n;
}

/* Units of one object made from a KUNTYPED (of a KUNTYPED or a space: of one page); 0: not allowed.
 */
/*@ assigns \nothing;
    ensures value: \result == u_kernel(type, bits);
    ensures cnode: type == BH_CAP_CNODE ==> \result <= CNODE_SLOTS_MAX;
    ensures space: t_space(type) ==> \result == 0 || \result == PAGE_UNITS;
    ensures range: \result <= CNODE_SLOTS_MAX; */
static uint64_t kernel_units(uint32_t type, uint32_t bits)
{
    if (type == BH_CAP_CNODE) return cnode_units(bits);
    if (bits != 0u) return 0;
    switch (type) {
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE:
    case BH_CAP_KUNTYPED: return PAGE_UNITS;
    case BH_CAP_THREAD: return THREAD_UNITS;
    case BH_CAP_SC: return SC_UNITS;
    case BH_CAP_ENDPOINT:
    case BH_CAP_NTFN: return 1;
    case BH_CAP_VCPU: return VCPU_UNITS;
    default: return 0;
    }
}

/* Units of one object of the source's kind of memory; 0: not allowed. */
/*@ requires t_untyped(from);
    assigns \nothing;
    ensures value: \result == u_units(from, type, bits);
    ensures cnode: type == BH_CAP_CNODE ==> \result <= CNODE_SLOTS_MAX;
    ensures space: t_space(type) ==> \result == 0 || \result == PAGE_UNITS;
    ensures page: type == BH_CAP_KUNTYPED ==> \result <= PAGE_UNITS;
    ensures frame: from == BH_CAP_FUNTYPED ==> \result <= 1;
    ensures kind: \result != 0 && (type == BH_CAP_FUNTYPED || type == BH_CAP_FRAME) ==>
        from == BH_CAP_FUNTYPED && \result == 1 && bits <= RETYPE_ALIGN_BITS_MAX;
    ensures other: \result != 0 && !(type == BH_CAP_FUNTYPED || type == BH_CAP_FRAME) ==>
        from == BH_CAP_KUNTYPED && 0 < type < BH_CAP_NTYPES;
    ensures range: \result <= CNODE_SLOTS_MAX; */
static uint64_t retype_units(uint32_t from, uint32_t type, uint32_t bits)
{
    if (from == BH_CAP_KUNTYPED) return kernel_units(type, bits);
    if (type != BH_CAP_FUNTYPED && type != BH_CAP_FRAME) return 0;
    return bits > RETYPE_ALIGN_BITS_MAX ? 0 : 1;
}

/* 1: an extent of memory, which lives in its capability alone. */
/*@ assigns \nothing;
    ensures value: \result != 0 <==> is_extent(type); */
static uint32_t type_is_extent(uint32_t type)
{
    return type == BH_CAP_KUNTYPED || type == BH_CAP_FUNTYPED || type == BH_CAP_FRAME ? 1u : 0u;
}

/* 1: `count` pages make one object; 0: there are `count` objects. */
/*@ assigns \nothing;
    ensures value: \result != 0 <==> t_pages(type); */
static uint32_t type_is_pages(uint32_t type)
{
    return type_is_extent(type) != 0u || type == BH_CAP_HOSTSPACE || type == BH_CAP_GUESTSPACE ? 1u
                                                                                               : 0u;
}

/* The smallest count for a type. */
/*@ assigns \nothing;
    ensures value: \result == u_min(type);
    ensures range: 0 < \result; */
static uint64_t retype_min(uint32_t type)
{
    if (type == BH_CAP_HOSTSPACE) return BH_HOSTSPACE_MIN_PAGES;
    return type == BH_CAP_GUESTSPACE ? BH_GUESTSPACE_MIN_PAGES : 1u;
}

/* The largest count for a type whose objects take `units` each. */
/*@ requires 0 < units <= CNODE_SLOTS_MAX;
    assigns \nothing;
    ensures value: \result == u_max(type, units);
    ensures extent: is_extent(type) ==> \result <= PFN_MAX;
    ensures space: t_space(type) ==> \result == BH_SPACE_MAX_PAGES;
    ensures object: !t_pages(type) ==> \result <= RETYPE_MAX;
    ensures pool: type == BH_CAP_KUNTYPED ==> \result <= POOL_PAGES_MAX; */
static uint64_t retype_max(uint32_t type, uint64_t units)
{
    switch (type) {
    case BH_CAP_KUNTYPED: return POOL_PAGES_MAX;
    case BH_CAP_FUNTYPED:
    case BH_CAP_FRAME: return PFN_MAX;
    case BH_CAP_HOSTSPACE:
    case BH_CAP_GUESTSPACE: return BH_SPACE_MAX_PAGES;
    case BH_CAP_CNODE: /* so that setting up the cells stays bounded */
        return CNODE_SLOTS_MAX / units < RETYPE_MAX ? CNODE_SLOTS_MAX / units : RETYPE_MAX;
    default: return RETYPE_MAX;
    }
}

/*@ requires 0 < align <= 0x40000 && x <= PFN_MAX;
    assigns \nothing;
    ensures value: \result == up(x, align);
    ensures aligned: \result % align == 0;
    ensures range: x <= \result < x + align; */
static uint64_t align_up(uint64_t x, uint64_t align)
{
    uint64_t r = x % align;

    return r == 0u ? x : x + (align - r);
}

/*@ requires dst + count <= POOL_CELLS;
    assigns \nothing;
    ensures value: \result != 0 <==> all_empty(dst, count); */
static uint32_t cells_empty(uint32_t dst, uint32_t count)
{
    uint32_t i;

    /*@ loop invariant 0 <= i <= count;
        loop invariant so_far: all_empty(dst, i);
        loop assigns i;
        loop variant count - i; */
    for (i = 0; i < count; i++) {
        if (cap_type(cells[dst + i].w0) != BH_CAP_NULL) return 0;
    }
    return 1;
}

/* May anything be made from this cell at all? */
/*@ requires ut < POOL_CELLS;
    assigns \nothing;
    ensures cap: \result == BH_ERR_CAP <==> !t_untyped(c_type(cells[ut].w0));
    ensures rights: \result == BH_ERR_RIGHTS <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) == 0;
    ensures state: \result == BH_ERR_STATE <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && c_frozen(cells[ut].w0) != 0;
    ensures limit: \result == BH_ERR_LIMIT <==> t_untyped(c_type(cells[ut].w0)) &&
        c_grant(cells[ut].w0) != 0 && c_frozen(cells[ut].w0) == 0 &&
        cells[ut].depth >= CDT_DEPTH_MAX;
    ensures ok: \result == BH_OK <==> source_ok(ut); */
static err_t retype_check_source(uint32_t ut)
{
    uint64_t w = cells[ut].w0;

    if (cap_type(w) != BH_CAP_KUNTYPED && cap_type(w) != BH_CAP_FUNTYPED) return BH_ERR_CAP;
    if (cap_grant(w) == 0u) return BH_ERR_RIGHTS;
    if (cap_frozen(w) != 0u) return BH_ERR_STATE;
    if (cells[ut].depth >= CDT_DEPTH_MAX) return BH_ERR_LIMIT;
    return BH_OK;
}

/* Object index and payload of what is to be made: how types.h wants them. */
/*@ requires \valid(p);
    requires sizes: 0 < p->obj_units && 0 < p->count <= RETYPE_MAX && p->start <= PFN_MAX + 0x40000;
    requires small: !is_extent(p->type) ==> p->start < POOL_UNITS_MAX &&
        p->obj_units <= BH_SPACE_MAX_PAGES * PAGE_UNITS;
    requires aligned: !t_pages(p->type) ==> p->start % p->obj_units == 0;
    requires pages: t_space(p->type) ==> p->count == 1 && p->start % PAGE_UNITS == 0 &&
        p->obj_units % PAGE_UNITS == 0;
    assigns p->obj, p->obj_step, p->a, p->b;
    ensures extent: is_extent(p->type) ==> p->a == p->start && p->b == p->obj_units;
    ensures range: p->obj <= POOL_UNITS_MAX && (is_extent(p->type) ==> p->obj_step == 0) &&
        p->obj_step <= BH_SPACE_MAX_PAGES * PAGE_UNITS;
    ensures index: plan_index(*p); */
static void plan_payload(struct retype_plan *p)
{
    p->obj = 0;
    p->obj_step = 0;
    p->a = 0;
    p->b = 0;
    if (type_is_extent(p->type) != 0u) {
        p->a = p->start;
        p->b = p->obj_units;
    } else if (p->type == BH_CAP_CNODE) {
        p->obj = p->start;
        p->obj_step = p->obj_units;
        p->a = p->obj_units;
    } else if (p->type == BH_CAP_HOSTSPACE || p->type == BH_CAP_GUESTSPACE) {
        p->obj = p->start / PAGE_UNITS;
        p->a = p->obj_units / PAGE_UNITS;
    } else {
        p->obj = p->start / p->obj_units;
        p->obj_step = 1;
    }
}

/*@ requires \valid(p) && \separated(p, &cells[0 .. POOL_CELLS - 1], &cell_live[0 .. POOL_CELLS - 1]);
    requires sizes: 0 < obj_units <= PFN_MAX && 0 < ncells <= RETYPE_MAX &&
        start <= PFN_MAX + 0x40000;
    requires small: !is_extent(type) ==> start < POOL_UNITS_MAX &&
        obj_units <= BH_SPACE_MAX_PAGES * PAGE_UNITS;
    requires aligned: !t_pages(type) ==> start % obj_units == 0;
    requires pages: t_space(type) ==> start % PAGE_UNITS == 0 && obj_units % PAGE_UNITS == 0;
    requires fit: mark(ut) <= start && start + ncells * obj_units <= limit(ut);
    requires one: t_pages(type) ==> ncells == 1;
    requires kind: 0 < type < BH_CAP_NTYPES &&
        (type == BH_CAP_KUNTYPED ==> c_type(cells[ut].w0) == BH_CAP_KUNTYPED);
    assigns *p;
    ensures what: p->ut == ut && p->type == type && p->dst == dst && p->count == ncells &&
        p->start == start;
    ensures extent: plan_extent(*p);
    ensures shape: plan_shape(*p);
    ensures index: plan_index(*p); */
static void plan_make(struct retype_plan *p, uint32_t ut, uint32_t type, uint32_t ncells,
                      uint32_t dst, uint64_t start, uint64_t obj_units)
{
    p->ut = ut;
    p->type = type;
    p->count = ncells;
    p->dst = dst;
    p->start = start;
    p->obj_units = obj_units;
    plan_payload(p);
}

/* Is `count` allowed for a type whose objects take `units` each (0: not allowed at all)? */
/*@ requires units <= CNODE_SLOTS_MAX;
    assigns \nothing;
    ensures value: \result != 0 <==> units != 0 && u_min(type) <= count <= u_max(type, units);
    ensures some: \result != 0 ==> 0 < count;
    ensures extent: \result != 0 && is_extent(type) ==> count <= PFN_MAX;
    ensures space: \result != 0 && t_space(type) ==> count <= BH_SPACE_MAX_PAGES;
    ensures object: \result != 0 && !t_pages(type) ==> count <= RETYPE_MAX;
    ensures pool: \result != 0 && type == BH_CAP_KUNTYPED ==> count <= POOL_PAGES_MAX; */
static uint32_t count_ok(uint32_t type, uint64_t units, uint64_t count)
{
    if (units == 0u || count < retype_min(type)) return 0;
    return count <= retype_max(type, units) ? 1u : 0u;
}

/*@ requires (count <= POOL_PAGES_MAX && units <= BH_SPACE_MAX_PAGES * PAGE_UNITS) ||
             (count <= PFN_MAX && units == 1) || (count == 1 && units <= PFN_MAX);
    requires 0 < count && 0 < units;
    assigns \nothing;
    ensures value: \result == count * units;
    ensures range: units <= \result <= PFN_MAX; */
static uint64_t span(uint64_t count, uint64_t units) { return count * units; }

/*@ requires t_untyped(from) && units == u_units(from, type, bits) && units != 0;
    requires units <= CNODE_SLOTS_MAX;
    assigns \nothing;
    ensures value: \result == u_align(from, type, bits);
    ensures kernel: from == BH_CAP_KUNTYPED ==> \result == units;
    ensures range: 0 < \result <= 0x40000; */
static uint64_t retype_align(uint32_t from, uint32_t type, uint32_t bits, uint64_t units)
{
    (void)type;
    return from == BH_CAP_FUNTYPED ? pow2(bits) : units;
}

err_t untyped_decode_retype(uint32_t ut, uint32_t type, uint32_t size_bits, uint64_t count,
                            uint32_t dst, uint32_t dst_avail, struct retype_plan *p)
{
    uint32_t from = cap_type(cells[ut].w0), ncells;
    uint64_t units, total, start, size;
    err_t e = retype_check_source(ut);

    if (e != BH_OK) return e;
    units = retype_units(from, type, size_bits);
    if (count_ok(type, units, count) == 0u) return BH_ERR_RANGE;
    /*@ assert page: t_space(type) ==> units == PAGE_UNITS; */
    ncells = type_is_pages(type) != 0u ? 1u : (uint32_t)count;
    if (ncells > dst_avail || cells_empty(dst, ncells) == 0u) return BH_ERR_SLOT;
    total = span(count, units);
    start = align_up(cells[ut].a + cells[ut].c, retype_align(from, type, size_bits, units));
    /*@ assert one: t_pages(type) ==> ncells == 1; */
    /*@ assert many: !t_pages(type) ==> ncells * units == total; */
    /*@ assert whole_pages: t_space(type) ==> total == count * PAGE_UNITS; */
    /*@ assert fits: start + total <= limit(ut) <==> fits(ut, type, size_bits, count); */
    if (start + total > cells[ut].a + cells[ut].b) return BH_ERR_MEMORY;
    size = type_is_pages(type) != 0u ? total : units;
    /*@ assert whole: ncells * size == total; */
    /*@ assert above: mark(ut) <= start; */
    /*@ assert below: start + ncells * size <= limit(ut); */
    plan_make(p, ut, type, ncells, dst, start, size);
    return BH_OK;
}

/*@ predicate same_but{A, B}(integer d) = \forall integer j; 0 <= j < POOL_CELLS && j != d ==>
        \at(cells[j].w0, A) == \at(cells[j].w0, B) && \at(cells[j].a, A) == \at(cells[j].a, B) &&
        \at(cells[j].b, A) == \at(cells[j].b, B) && \at(cells[j].c, A) == \at(cells[j].c, B) &&
        \at(cells[j].depth, A) == \at(cells[j].depth, B) &&
        \at(ext_from[j], A) == \at(ext_from[j], B) &&
        \at(ext_lo[j], A) == \at(ext_lo[j], B) && \at(ext_hi[j], A) == \at(ext_hi[j], B); */

/* Make one capability, and take [at, at + units) for it. */
/*@ requires core_ok;
    requires index: live(ut) && live(dst) && dst != 0 && empty(dst);
    requires source: t_untyped(c_type(cells[ut].w0)) && cells[ut].depth < CDT_DEPTH_MAX;
    requires word: w0 < CAP_WORDS && c_type(w0) != BH_CAP_NULL && range_ok(c_type(w0), a, b, 0);
    requires extent: is_extent(c_type(w0)) ==> a == at && a + b == at + units;
    requires inside: cells[ut].a <= at && 0 < units && at + units <= mark(ut);
    requires above: \forall integer k; taken(k) && ext_from[k] == ut ==> ext_hi[k] <= at;
    assigns cells[dst], cells[ut].next, cells[\at(cells[ut].next, Pre)].prev, ext_from[dst],
            ext_lo[dst], ext_hi[dst];
    ENSURES_CORE
    ensures above: \forall integer k; taken(k) && ext_from[k] == ut ==> ext_hi[k] <= at + units;
    ensures first: cells[ut].next == dst;
    ensures below: cells[dst].depth == cells[ut].depth + 1;
    ensures word: cells[dst].w0 == w0;
    ensures payload: cells[dst].a == a && cells[dst].b == b && cells[dst].c == 0 &&
        cells[dst].d == 0 && cells[dst].badge == 0 && cells[dst].count == 0;
    ensures taken: ext_from[dst] == ut && ext_lo[dst] == at && ext_hi[dst] == at + units;
    ensures others: same_but{Pre, Here}(dst); */
static void retype_one(uint32_t ut, uint32_t dst, uint64_t w0, uint64_t a, uint64_t b)
/*@ ghost (uint64_t at, uint64_t units) */
{
    cnode_commit_new(ut, dst, w0, 0, a, b);
    /*@ ghost
      ext_from[dst] = ut;
      ext_lo[dst] = at;
      ext_hi[dst] = at + units; */
}

/*@ ghost
  /@ requires i < n <= RETYPE_MAX && u <= PFN_MAX;
     assigns \nothing;
     ensures 0 <= i * u <= RETYPE_MAX * u && i * u + u == (i + 1) * u && i * u + u <= n * u; @/
  void lemma_next(uint32_t i, uint32_t n, uint64_t u) {} */

/*@ ghost
  /@ requires row: \forall integer j; first < j < x ==> ext_lo[j] == ext_hi[j - 1];
     requires last: first < x < POOL_CELLS ==> ext_lo[x] == ext_hi[x - 1];
     requires x < POOL_CELLS;
     assigns \nothing;
     ensures \forall integer j; first < j < x + 1 ==> ext_lo[j] == ext_hi[j - 1]; @/
  void lemma_row(uint32_t first, uint32_t x)
  {
  } */

/* Make the capabilities of a plan whose memory lies below the watermark already. A copy of the
 * plan: what it says cannot change under the loop. */
/*@ requires core_ok;
    requires decoded: plan_place(p) && plan_shape(p) && 0 < p.obj_units <= PFN_MAX;
    requires inside: cells[p.ut].a <= p.start && p.start + p.count * p.obj_units == mark(p.ut);
    requires above: \forall integer k; taken(k) && ext_from[k] == p.ut ==> ext_hi[k] <= p.start;
    assigns cells[p.ut].next, cells[\at(cells[p.ut].next, Pre)].prev,
            cells[p.dst .. p.dst + p.count - 1], ext_from[p.dst .. p.dst + p.count - 1],
            ext_lo[p.dst .. p.dst + p.count - 1], ext_hi[p.dst .. p.dst + p.count - 1];
    ENSURES_CORE
    ensures taken: taken_row(p); */
static void retype_carry_out(const struct retype_plan p)
{
    uint32_t i;
    uint64_t obj = p.obj;
    /*@ ghost uint64_t at = p.start; */
    /*@ ghost uint32_t behind = cells[p.ut].next; */

    /*@ loop invariant 0 <= i <= p.count;
        loop invariant at: at == p.start + i * p.obj_units;
        loop invariant obj: obj == p.obj + i * p.obj_step;
        INVARIANT_CORE
        loop invariant source: t_untyped(c_type(cells[p.ut].w0)) &&
            cells[p.ut].depth < CDT_DEPTH_MAX;
        loop invariant next: cells[p.ut].next == (i == 0 ? behind : p.dst + i - 1);
        loop invariant below: \forall integer k; taken(k) && ext_from[k] == p.ut ==>
            ext_hi[k] <= at;
        loop invariant rest: \forall integer k; p.dst + i <= k < p.dst + p.count ==>
            live(k) && empty(k);
        loop invariant taken_last: i == 0 ? at == p.start : ext_hi[p.dst + i - 1] == at;
        loop invariant from: \forall integer j; p.dst <= j < p.dst + i ==> ext_from[j] == p.ut;
        loop invariant span: \forall integer j; p.dst <= j < p.dst + i ==>
            ext_hi[j] == ext_lo[j] + p.obj_units;
        loop invariant first: i > 0 ==> ext_lo[p.dst] == p.start;
        loop invariant row: \forall integer j; p.dst < j < p.dst + i ==> ext_lo[j] == ext_hi[j - 1];
        loop assigns i, obj, at, cells[p.ut].next, cells[behind].prev,
            cells[p.dst .. p.dst + p.count - 1], ext_from[p.dst .. p.dst + p.count - 1],
            ext_lo[p.dst .. p.dst + p.count - 1], ext_hi[p.dst .. p.dst + p.count - 1];
        loop variant p.count - i; */
    for (i = 0; i < p.count; i++) {
        /*@ ghost lemma_next(i, p.count, p.obj_units); */
        /*@ ghost lemma_next(i, p.count, p.obj_step); */
        retype_one(p.ut, p.dst + i, cap_pack(p.type, BH_RIGHTS_ALL, (uint32_t)obj), p.a, p.b)
            /*@ ghost (at, p.obj_units) */;
        /*@ assert last: i > 0 ==> ext_lo[p.dst + i] == ext_hi[p.dst + i - 1]; */
        /*@ ghost lemma_row(p.dst, p.dst + i); */
        obj = obj + p.obj_step;
        /*@ ghost at = at + p.obj_units; */
    }
}

/*@ requires core_ok && live(ut) && t_untyped(c_type(cells[ut].w0));
    requires raised: mark(ut) <= end <= limit(ut);
    assigns cells[ut].c, cells[ut].d;
    ENSURES_CORE
    ensures mark: mark(ut) == end;
    ensures epoch: cells[ut].d == 0; */
static void mark_raise(uint32_t ut, uint64_t end)
{
    cells[ut].c = end - cells[ut].a;
    cells[ut].d = 0; /* a scrub begun before has to wait for the new children's epoch */
}

void untyped_commit_retype(const struct retype_plan *p)
{
    const struct retype_plan q = *p;
    uint64_t end = q.start + span(q.count, q.obj_units);

    mark_raise(q.ut, end);
    retype_carry_out(q);
}

uint64_t untyped_left(uint32_t ut) { return cells[ut].b - cells[ut].c; }

err_t untyped_decode_scrub(uint32_t ut)
{
    uint64_t w = cells[ut].w0;

    if (cap_type(w) != BH_CAP_KUNTYPED && cap_type(w) != BH_CAP_FUNTYPED) return BH_ERR_CAP;
    if (cap_grant(w) == 0u) return BH_ERR_RIGHTS;
    if (cdt_has_child(ut) != 0u) return BH_ERR_BUSY;
    return BH_OK;
}

uint32_t untyped_scrub_owed(uint32_t ut)
{
    return cells[ut].c != 0u && cells[ut].d == 0u ? 1u : 0u;
}

void untyped_commit_charge(uint32_t ut) { cells[ut].d = epoch_charge(); }

uint64_t untyped_scrub_count(uint32_t ut, uint64_t max)
{
    return cells[ut].c < max ? cells[ut].c : max;
}

uint64_t untyped_scrub_first(uint32_t ut, uint64_t n) { return cells[ut].a + cells[ut].c - n; }

void untyped_commit_scrubbed(uint32_t ut, uint64_t n)
{
    cells[ut].c = cells[ut].c - n;
    if (cells[ut].c == 0u) cells[ut].d = 0;
}
