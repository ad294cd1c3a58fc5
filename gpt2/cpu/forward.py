"""One pass of GPT-2 for any rows: a token of each visitor, a piece of a prompt, guesses to check.

Every thread calls `forward` and takes pieces of work from counters until none is left, so a thread
that the system has put aside holds up nothing but the piece it has in hand. Between two stages all
wait for the last piece of the first.

A row is (id, position, slot): a token, its place in its text, and which of the texts. It writes its
key and value at its position of its slot, and attends to all positions up to its own. Nothing here
depends on how many rows there are or who computes them: a row has the same bits alone, in a batch,
and in a piece of a prompt.

`plan` is a table of whole numbers (sizes, counts, addresses), whose places have names below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from gpt2.cpu.formats import GROUP, OUTPUTS, TILE_KEYS
from gpt2.cpu.layout import *
from gpt2.cpu.pointers import (
    LONGS,
    address,
    call_of,
    fetch_add,
    floats,
    from_bits,
    halves,
    longs,
    read_shared,
    square_root,
    wholes,
    write_shared,
)

# Rows that share a reading of weights, small enough for the second cache; rows of one task of
# attention; how often to look at a counter before letting others run.
ROW_BLOCK = 48
QUERY_BLOCK = 16
SPINS = 300
# Up to so many rows are few: each task of attention keeps their keys and values itself.
FEW = 8

# Names in capitals are frozen into the compiled code.
f4 = np.float32
ROUND = f4(12582912.0)  # 1.5 * 2^23: adding and taking it away rounds to a whole number
LEAST = f4(1e-30)

call1, call3, call6, call12 = call_of(1), call_of(3), call_of(6), call_of(12)


_OPTIONS: Any = {
    "error_model": "numpy",
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
kernel: Any = njit(**_OPTIONS)


# ---- work and waiting: stage n of a pass has two counters, what is taken and what is done


@kernel
def take(plan: Any, stage: Any) -> Any:
    """The next piece of work of a stage."""
    return fetch_add(plan[COUNTERS] + (stage * 2 + 2) * LINE * 8, 1)


@kernel
def done(plan: Any, stage: Any) -> Any:
    fetch_add(plan[COUNTERS] + (stage * 2 + 3) * LINE * 8, 1)


@kernel
def wait(plan: Any, stage: Any, pieces: Any) -> Any:
    """Until all pieces of a stage are done."""
    spins = 0
    while read_shared(plan[COUNTERS] + (stage * 2 + 3) * LINE * 8) < pieces:
        spins += 1
        if spins > SPINS:
            call1(plan[YIELD_THREAD], (0,))


# ---- one row


@kernel
def total(x: Any, count: Any) -> Any:
    """The sum of a row, always in these eight lanes and this order; `count` is a multiple of 8."""
    a = b = c = d = e = f = g = h = f4(0)
    for i in range(0, count, 8):
        a += x[i]
        b += x[i + 1]
        c += x[i + 2]
        d += x[i + 3]
        e += x[i + 4]
        f += x[i + 5]
        g += x[i + 6]
        h += x[i + 7]
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@kernel
def layer_norm(plan: Any, x: Any, weight: Any, bias: Any, y: Any) -> Any:
    """y = (x - mean) / sqrt(variance + epsilon) * weight + bias, filled up with zeros."""
    width = plan[WIDTH]
    padded = plan[PADDED_WIDTH]
    for i in range(width, padded):
        x[i] = f4(0)
        y[i] = f4(0)
    eights = (width + 7) // 8 * 8
    mean = total(x, eights) / f4(width)
    for i in range(width):
        y[i] = (x[i] - mean) * (x[i] - mean)
    variance = total(y, eights) / f4(width)
    factor = f4(1) / square_root(variance + floats(plan[EPSILON])[0])
    for i in range(width):
        y[i] = (x[i] - mean) * factor * weight[i] + bias[i]


@kernel
def quantise(x: Any, groups: Any, columns: Any, outliers: Any, whole: Any, sums: Any) -> Any:
    """A row as 16-bit whole numbers times one scale, which is returned.

    `columns` name the inputs that `outliers` more groups hold once more. `sums` gets the sum of
    every
    32, which int4 needs.
    """
    bits = wholes(address(x))
    largest = np.int32(0)
    for i in range(groups * GROUP):
        largest = max(largest, np.int32(bits[i] & np.int32(0x7FFFFFFF)))
    most = max(from_bits(largest), LEAST)
    factor = f4(32767) / most
    for i in range(groups * GROUP):
        whole[i] = np.int16(np.int32((x[i] * factor + ROUND) - ROUND))
    for extra in range(outliers):
        for i in range(GROUP):
            whole[(groups + extra) * GROUP + i] = whole[columns[i]]
    for g in range(groups + outliers):
        s = np.int32(0)
        for i in range(GROUP):
            s += np.int32(whole[g * GROUP + i])
        sums[g] = s
    return most / f4(32767)


# Of numbers that are none of them NaN the largest is the same in any order, eight at a time too.
@njit(fastmath={"nnan", "nsz"}, **_OPTIONS)
def largest_of(score: Any, count: Any) -> Any:
    largest = score[0]
    for i in range(count):
        largest = max(largest, score[i])
    return largest


@kernel
def softmax(plan: Any, score: Any, count: Any, padded: Any, scale: Any, parameters: Any) -> Any:
    """In place over `count` scores; up to `padded`, a multiple of 32, weights of zero follow."""
    largest = largest_of(score, count)
    for i in range(count, padded):
        score[i] = largest
    parameters[0] = largest
    parameters[1] = scale
    loop = longs(plan[TILES])[LOOP_EXPONENTIALS]
    call3(loop, (address(score), padded // 16, address(parameters)))
    for i in range(count, padded):
        score[i] = f4(0)
    factor = f4(1) / total(score, padded)
    for i in range(padded):
        score[i] *= factor


# ---- stages


@kernel
def embed(plan: Any, row: Any) -> Any:
    """A token's embedding plus its position's."""
    width = plan[WIDTH]
    x = floats(plan[STREAM] + row * plan[PADDED_WIDTH] * 4)
    position = floats(plan[POSITIONS] + longs(plan[STAND_INS])[row] * width * 4)
    token = longs(plan[IDS])[row]
    if plan[EMBEDDING_HALVES]:
        half = halves(plan[EMBEDDING] + token * width * 2)
        for i in range(width):
            x[i] = half_value(half[i]) + position[i]
    else:
        embedding = floats(plan[EMBEDDING] + token * width * 4)
        for i in range(width):
            x[i] = embedding[i] + position[i]


@kernel
def half_value(bits: Any) -> Any:
    """A float16, not infinite, as float32."""
    word = np.int32(bits)
    size = from_bits(np.int32((word & np.int32(0x7FFF)) << np.int32(13)))
    size *= f4(5.192296858534828e33)  # 2^112
    if word < 0:
        return -size
    return size


@kernel
def product(
    plan: Any, thread: Any, stage: Any, matrix: Any, own: Any, rows: Any, x: Any, x_stride: Any,
    y: Any, y_stride: Any, bias: Any, mode: Any,
) -> Any:  # fmt: skip
    """All rows times one matrix: threads take pieces of up to 48 rows and some blocks of outputs.

    `x` are floats; quantised rows lie in the stretch `own`. Returns the next stage.
    """
    record = longs(plan[MATRICES] + matrix * 32)
    weights, groups, blocks, outliers = record[0], record[1], record[2], record[3]
    all_groups = groups + outliers
    row_blocks = (rows + ROW_BLOCK - 1) // ROW_BLOCK
    chunk = max(1, min(blocks // 16, 32)) if row_blocks == 1 else max(1, blocks // 8)
    chunks = (blocks + chunk - 1) // chunk
    loops = longs(plan[TILES])
    most = plan[MOST_ROWS]
    whole = plan[WHOLE] + own * plan[WHOLE_STRIDE]
    scales = plan[ROW_SCALES] + own * plan[ROW_SCALES_STRIDE]
    sums = plan[SUMS] + own * plan[SUMS_STRIDE]
    stretch = all_groups * plan[BLOCK_BYTES]
    if plan[QUANTISED]:
        x = whole
        x_stride = all_groups * GROUP * 2
    piece = take(plan, stage)
    while piece < row_blocks * chunks:
        first_row = piece // chunks * ROW_BLOCK
        last_row = min(rows, first_row + ROW_BLOCK)
        first = piece % chunks * chunk
        tiles = (last_row - first_row + most - 1) // most
        each = (last_row - first_row) // tiles
        larger = (last_row - first_row) % tiles  # tiles that have one row more
        for block in range(first, min(blocks, first + chunk)):
            row = first_row
            for tile in range(tiles):
                count = each + 1 if tile < larger else each
                call12(
                    loops[LOOP_PRODUCT + count],
                    (
                        weights + block * stretch,
                        x + row * x_stride,
                        x_stride,
                        sums + row * all_groups * 4,
                        all_groups * 4,
                        all_groups,
                        scales + row * 4,
                        bias + block * OUTPUTS * 4,
                        y + row * y_stride + block * OUTPUTS * 4,
                        y_stride,
                        mode,
                        plan[SHIFTS] + (own + row) * 4,
                    ),
                )
                row += count
        done(plan, stage)
        piece = take(plan, stage)
    wait(plan, stage, row_blocks * chunks)
    return stage + 1


@kernel
def quantise_row(plan: Any, own: Any, row: Any, matrix: Any, x: Any) -> Any:
    """A row of floats into the stretch `own`, for a product with `matrix`."""
    if plan[QUANTISED]:
        record = longs(plan[MATRICES] + matrix * 32)
        groups, outliers = record[1], record[3]
        all_groups = groups + outliers
        whole = halves(plan[WHOLE] + own * plan[WHOLE_STRIDE] + row * all_groups * GROUP * 2)
        sums = wholes(plan[SUMS] + own * plan[SUMS_STRIDE] + row * all_groups * 4)
        columns = wholes(plan[COLUMNS] + matrix * GROUP * 4)
        scales = floats(plan[ROW_SCALES] + own * plan[ROW_SCALES_STRIDE])
        scales[row] = quantise(x, groups, columns, outliers, whole, sums)


@kernel
def cache_at(plan: Any, table: Any, layer: Any, slot: Any, head: Any) -> Any:
    """Where a head's keys or values of one text begin."""
    stretch = plan[CAPACITY] * plan[PADDED_HEAD_WIDTH] * plan[CACHE_BYTES]
    return table + ((slot * plan[LAYERS] + layer) * plan[HEADS] + head) * stretch


@kernel
def keep(plan: Any, thread: Any, layer: Any, head: Any, row: Any) -> Any:
    """A row's key and value to the cache: keys (tiles, D, 32), values (tokens, D)."""
    width, head_width = plan[WIDTH], plan[HEAD_WIDTH]
    padded = plan[PADDED_HEAD_WIDTH]
    qkv_width = plan[QKV_WIDTH]
    position = longs(plan[ROW_POSITIONS])[row]
    slot = longs(plan[SLOT_OF])[row]
    own = plan[QKV] + (row * qkv_width + head * head_width) * 4
    key, value = floats(own + width * 4), floats(own + 2 * width * 4)
    keys = cache_at(plan, plan[KEYS], layer, slot, head)
    values = cache_at(plan, plan[VALUES], layer, slot, head)
    tile, lane = position // TILE_KEYS, position % TILE_KEYS
    if plan[CACHE_BYTES] == 4:
        column = floats(keys + (tile * padded * TILE_KEYS + lane) * 4)
        rest = floats(values + position * padded * 4)
        for d in range(head_width):
            column[d * TILE_KEYS] = key[d]
            rest[d] = value[d]
    else:
        # Sixteen at a time are converted, in room that the scores will need later.
        room = plan[SCORES] + thread * plan[SCORES_STRIDE]
        line = floats(room)
        loop = longs(plan[TILES])[LOOP_HALVES]
        small = halves(room + padded * 4)
        for d in range(head_width):
            line[d] = key[d]
        call3(loop, (room, room + padded * 4, padded // 16))
        narrow = halves(keys + (tile * padded * TILE_KEYS + lane) * 2)
        for d in range(head_width):
            narrow[d * TILE_KEYS] = small[d]
        for d in range(head_width):
            line[d] = value[d]
        call3(loop, (room, room + padded * 4, padded // 16))
        rest_small = halves(values + position * padded * 2)
        for d in range(head_width):
            rest_small[d] = small[d]
    if plan[SEEN]:
        record = longs(plan[SEEN] + (row * plan[LAYERS] + layer) * 32)
        if record[2]:
            shown = floats(record[2] + head * record[3])
            for d in range(head_width):
                shown[d] = value[d]


@kernel
def attend(plan: Any, thread: Any, layer: Any, head: Any, row: Any, queries: Any) -> Any:
    """One head of `queries` rows that follow each other in one text, or of a single one."""
    head_width, padded = plan[HEAD_WIDTH], plan[PADDED_HEAD_WIDTH]
    qkv_width = plan[QKV_WIDTH]
    mixed_width = plan[PADDED_WIDTH]
    position = longs(plan[ROW_POSITIONS])[row]
    slot = longs(plan[SLOT_OF])[row]
    keys = cache_at(plan, plan[KEYS], layer, slot, head)
    values = cache_at(plan, plan[VALUES], layer, slot, head)
    tokens = position + queries  # that the last of them sees
    tiles = (tokens + TILE_KEYS - 1) // TILE_KEYS
    stride = plan[SCORES_STRIDE] // SCORE_ROWS
    scores = plan[SCORES] + thread * plan[SCORES_STRIDE]
    loops = longs(plan[TILES])
    query = plan[QKV] + (row * qkv_width + head * head_width) * 4
    out = plan[MIXED] + (row * mixed_width + head * head_width) * 4
    query_stride, out_stride = qkv_width * 4, mixed_width * 4
    if padded != head_width:  # filled up with zeros
        query = scores + QUERY_ROW * stride
        filled = floats(query)
        source = floats(plan[QKV] + (row * qkv_width + head * head_width) * 4)
        for d in range(padded):
            filled[d] = source[d] if d < head_width else f4(0)
        out = scores + FOUND_ROW * stride
    call6(loops[LOOP_SCORES + queries], (query, query_stride, keys, tiles, scores, stride))
    scale = floats(plan[SCALE])[0]
    for n in range(queries):
        score = floats(scores + n * stride)
        seen = position + n + 1  # in place of a mask: what comes later is not read
        softmax(plan, score, seen, tiles * TILE_KEYS, scale, floats(scores + SOFTMAX_ROW * stride))
        if plan[SEEN]:
            record = longs(plan[SEEN] + ((row + n) * plan[LAYERS] + layer) * 32)
            if record[0]:
                shown = floats(record[0] + head * record[1])
                for i in range(seen):
                    shown[i] = score[i]
    call6(loops[LOOP_MIX + queries], (scores, stride, values, tokens, out, out_stride))
    if padded != head_width:
        found = floats(plan[MIXED] + (row * mixed_width + head * head_width) * 4)
        filled = floats(out)
        for d in range(head_width):
            found[d] = filled[d]
    if plan[FOUND]:
        for n in range(queries):
            at = (row + n) * plan[LAYERS] + layer
            shown = floats(plan[FOUND] + (at * plan[WIDTH] + head * head_width) * 4)
            found = floats(plan[MIXED] + ((row + n) * mixed_width + head * head_width) * 4)
            for d in range(head_width):
                shown[d] = found[d]
    if plan[REPLACED]:
        for n in range(queries):
            at = ((row + n) * plan[LAYERS] + layer) * plan[HEADS] + head
            where = longs(plan[REPLACED])[at]
            if where:
                found = floats(plan[MIXED] + ((row + n) * mixed_width + head * head_width) * 4)
                instead = floats(where)
                for d in range(head_width):
                    found[d] = instead[d]


@kernel
def attention(plan: Any, thread: Any, stage: Any, layer: Any) -> Any:
    """All heads of all rows. Returns the next stage."""
    rows, heads = plan[ROWS], plan[HEADS]
    positions, slot_of = longs(plan[ROW_POSITIONS]), longs(plan[SLOT_OF])
    if rows > FEW:
        head = take(plan, stage)
        while head < heads:
            for row in range(rows):
                keep(plan, thread, layer, head, row)
            done(plan, stage)
            head = take(plan, stage)
        wait(plan, stage, heads)
        stage += 1
    block = QUERY_BLOCK if rows > FEW else rows
    blocks = (rows + block - 1) // block
    piece = take(plan, stage)
    while piece < blocks * heads:
        # The last rows have most to read: begun first, they end with the others.
        first = (blocks - 1 - piece // heads) * block
        head = piece % heads
        if rows <= FEW:
            for row in range(rows):
                keep(plan, thread, layer, head, row)
        row = first
        last = min(rows, first + block)
        while row < last:
            queries = 1
            if plan[HEAD_WIDTH] == plan[PADDED_HEAD_WIDTH]:
                while (
                    queries < plan[MOST_QUERIES]
                    and row + queries < last
                    and slot_of[row + queries] == slot_of[row]
                    and positions[row + queries] == positions[row] + queries
                ):
                    queries += 1
            attend(plan, thread, layer, head, row, queries)
            row += queries
        done(plan, stage)
        piece = take(plan, stage)
    wait(plan, stage, blocks * heads)
    return stage + 1


@kernel
def norm_rows(plan: Any, thread: Any, stage: Any, vector: Any, matrix: Any, own: Any) -> Any:
    """Normalise every row, and quantise it for `matrix`. A single row every thread does itself."""
    padded = plan[PADDED_WIDTH]
    weight = floats(longs(plan[VECTORS])[vector])
    bias = floats(longs(plan[VECTORS])[vector + 1])
    normed = plan[NORMED] + own * plan[NORMED_STRIDE]
    if plan[ROWS] == 1:
        layer_norm(plan, floats(plan[STREAM]), weight, bias, floats(normed))
        quantise_row(plan, own, 0, matrix, floats(normed))
        return stage
    row = take(plan, stage)
    while row < plan[ROWS]:
        y = floats(normed + row * padded * 4)
        layer_norm(plan, floats(plan[STREAM] + row * plan[PADDED_WIDTH] * 4), weight, bias, y)
        quantise_row(plan, own, row, matrix, y)
        done(plan, stage)
        row = take(plan, stage)
    wait(plan, stage, plan[ROWS])
    return stage + 1


@kernel
def quantise_rows(plan: Any, stage: Any, matrix: Any, own: Any, x: Any, x_stride: Any) -> Any:
    """Quantise every row of `x` for `matrix`."""
    if not plan[QUANTISED]:
        return stage
    if plan[ROWS] == 1:
        quantise_row(plan, own, 0, matrix, floats(x))
        return stage
    row = take(plan, stage)
    while row < plan[ROWS]:
        quantise_row(plan, own, row, matrix, floats(x + row * x_stride))
        done(plan, stage)
        row = take(plan, stage)
    wait(plan, stage, plan[ROWS])
    return stage + 1


@kernel
def stream_hook(plan: Any, stage: Any, number: Any) -> Any:
    """At the `number`-th of 2 L + 1 places of the residual stream, where somebody asked for it, put
    something else in its place (before a layer, so at even numbers), then copy it out. Returns the
    next stage.
    """
    layers, width = plan[LAYERS], plan[WIDTH]
    replaced = plan[REPLACED_STREAM] != 0 and number % 2 == 0 and number < 2 * layers
    if plan[RESIDUAL] == 0 and not replaced:
        return stage
    row = take(plan, stage)
    while row < plan[ROWS]:
        x = floats(plan[STREAM] + row * plan[PADDED_WIDTH] * 4)
        if replaced:
            where = longs(plan[REPLACED_STREAM])[row * layers + number // 2]
            if where:
                instead = floats(where)
                for i in range(width):
                    x[i] = instead[i]
        if plan[RESIDUAL]:
            out = floats(plan[RESIDUAL] + (row * (2 * layers + 1) + number) * width * 4)
            for i in range(width):
                out[i] = x[i]
        done(plan, stage)
        row = take(plan, stage)
    wait(plan, stage, plan[ROWS])
    return stage + 1


@kernel
def head_row(plan: Any, own: Any, n: Any) -> Any:
    """The last norm of the n-th wanted row, and its product with the head's mean row."""
    width, layers = plan[WIDTH], plan[LAYERS]
    padded = plan[PADDED_WIDTH]
    vectors = longs(plan[VECTORS])
    weight, bias = floats(vectors[8 * layers]), floats(vectors[8 * layers + 1])
    mean = floats(vectors[8 * layers + 2])
    row = longs(plan[WANTED_ROWS])[n]
    y = floats(plan[NORMED] + own * plan[NORMED_STRIDE] + n * padded * 4)
    layer_norm(plan, floats(plan[STREAM] + row * padded * 4), weight, bias, y)
    quantise_row(plan, own, n, 4 * layers, y)
    if plan[CENTRED]:
        room = floats(plan[QKV] + (own + n) * plan[QKV_WIDTH] * 4)  # at least as wide
        for i in range(padded):
            room[i] = y[i] * mean[i] if i < width else f4(0)
        floats(plan[SHIFTS] + own * 4)[n] = total(room, padded)


@kernel
def head_rows(plan: Any, stage: Any, own: Any) -> Any:
    """`head_row` for all rows whose logits are wanted."""
    if plan[ROWS] == 1:
        head_row(plan, own, 0)
        return stage
    n = take(plan, stage)
    while n < plan[WANTED]:
        head_row(plan, own, n)
        done(plan, stage)
        n = take(plan, stage)
    wait(plan, stage, plan[WANTED])
    return stage + 1


@kernel
def blocks(plan: Any, thread: Any) -> Any:
    """The pass itself."""
    rows, layers = plan[ROWS], plan[LAYERS]
    padded = plan[PADDED_WIDTH]
    inner = plan[INNER]
    qkv_width = plan[QKV_WIDTH]
    vectors = longs(plan[VECTORS])
    # What a single row needs, each thread makes for itself: that is sooner done than waited for.
    own = thread if rows == 1 else 0
    normed = plan[NORMED] + own * plan[NORMED_STRIDE]
    stage = 0
    row = take(plan, stage)
    while row < rows:
        embed(plan, row)
        done(plan, stage)
        row = take(plan, stage)
    wait(plan, stage, rows)
    stage = stream_hook(plan, 1, 0)
    for layer in range(layers):
        v, m = layer * 8, layer * 4
        stage = norm_rows(plan, thread, stage, v + NORM_1, m + ATTENTION_IN, own)
        stage = product(
            plan, thread, stage, m + ATTENTION_IN, own, rows, normed, padded * 4,
            plan[QKV], qkv_width * 4, vectors[v + IN_BIAS], STORE,
        )  # fmt: skip
        stage = attention(plan, thread, stage, layer)
        stage = quantise_rows(plan, stage, m + ATTENTION_OUT, own, plan[MIXED], padded * 4)
        stage = product(
            plan, thread, stage, m + ATTENTION_OUT, own, rows, plan[MIXED], padded * 4,
            plan[STREAM], padded * 4, vectors[v + OUT_BIAS], ADD,
        )  # fmt: skip
        stage = stream_hook(plan, stage, 2 * layer + 1)
        stage = norm_rows(plan, thread, stage, v + NORM_2, m + EXPAND, own)
        stage = product(
            plan, thread, stage, m + EXPAND, own, rows, normed, padded * 4,
            plan[HIDDEN], inner * 4, vectors[v + EXPAND_BIAS], GELU,
        )  # fmt: skip
        stage = quantise_rows(plan, stage, m + PROJECT, own, plan[HIDDEN], inner * 4)
        stage = product(
            plan, thread, stage, m + PROJECT, own, rows, plan[HIDDEN], inner * 4,
            plan[STREAM], padded * 4, vectors[v + PROJECT_BIAS], ADD,
        )  # fmt: skip
        stage = stream_hook(plan, stage, 2 * layer + 2)
    if plan[WANTED] > 0:
        stage = head_rows(plan, stage, own)
        mode = SHIFT if plan[CENTRED] else STORE
        stage = product(
            plan, thread, stage, 4 * layers, own, plan[WANTED], normed, padded * 4,
            plan[LOGITS], plan[LOGITS_STRIDE], plan[NO_BIAS], mode,
        )  # fmt: skip
    return stage


@kernel
def forward(plan: Any, thread: Any, generation: Any) -> Any:
    """Take part in pass number `generation`; thread 0 waits until nobody is inside any more.

    A helper that comes when the pass is over must not touch its memory: it counts itself in, looks
    whether the pass is still the one it was called for, and counts itself out.
    """
    current = plan[COUNTERS]
    inside = plan[COUNTERS] + 8
    if thread > 0:
        fetch_add(inside, 1)
        if read_shared(current) == generation:
            blocks(plan, thread)
        fetch_add(inside, -1)
    else:
        blocks(plan, thread)
        write_shared(current, 0)
        spins = 0
        while read_shared(inside) > 0:
            spins += 1
            if spins > SPINS:
                call1(plan[YIELD_THREAD], (0,))


SIGNATURE = types.void(LONGS, types.int64, types.int64)
