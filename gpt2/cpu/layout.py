"""Where the pass finds things: a table of numbers, filled by Python, read by compiled code."""

from __future__ import annotations

# What stands where in `plan`. Plurals are addresses of tables, a stride counts bytes.
# fmt: off
(
    # of the model
    LAYERS,
    HEADS,
    WIDTH,  # C
    PADDED_WIDTH,  # filled up to a multiple of 32, as INNER is
    QKV_WIDTH,  # 3 C, to a multiple of 16
    HEAD_WIDTH,  # D, filled up to a multiple of 16 in the cache
    PADDED_HEAD_WIDTH,
    INNER,  # of the feed-forward
    VOCABULARY,
    QUANTISED,
    CENTRED,  # the head lacks what all its rows have in common, and a mean row has it
    BLOCK_BYTES,
    WEIGHTS,
    MATRICES,  # (4 L + 1, 4): offset of the blocks, groups, blocks of outputs, outlier columns
    COLUMNS,  # (4 L + 1, 32) int32: the outlier inputs, once more
    VECTORS,  # (8 L + 3) addresses of norms and biases, ln_f's, the head's mean row
    EMBEDDING,
    EMBEDDING_HALVES,  # 1: float16, 0: float32
    POSITIONS,
    SCALE,  # one float32: what scores are multiplied with
    EPSILON,  # one float32
    NO_BIAS,  # zeros
    # of the cache
    CAPACITY,
    SLOTS,
    KEYS,
    VALUES,
    CACHE_BYTES,  # of a number
    # of this pass
    ROWS,
    WANTED,
    IDS,
    ROW_POSITIONS,
    SLOT_OF,
    STAND_INS,  # whose position embedding a row gets: its own place, but for experiments
    WANTED_ROWS,
    # room to work in
    STREAM,  # (rows, C)
    QKV,
    MIXED,  # what the heads found (rows, padded C)
    HIDDEN,
    LOGITS,
    LOGITS_STRIDE,
    NORMED,  # a stretch a thread, as the next three
    NORMED_STRIDE,
    WHOLE,
    WHOLE_STRIDE,
    ROW_SCALES,
    ROW_SCALES_STRIDE,
    SUMS,
    SUMS_STRIDE,
    SCORES,
    SCORES_STRIDE,
    SHIFTS,
    COUNTERS,
    TILES,  # addresses of the loops of `gpt2.cpu.tiles`, see LOOP_PRODUCT and the others
    MOST_ROWS,
    MOST_QUERIES,
    YIELD_THREAD,  # address of the system's function for it
    # what somebody wants to see or change; 0 where nobody does
    SEEN,  # (rows, L, 4): where weights go, bytes from head to head, the same for values; or zeros
    RESIDUAL,  # (rows, 2 L + 1, C)
    FOUND,  # (rows, L, C): what every head of every row found
    REPLACED,  # (rows, L, H) addresses of D floats that replace a head's output, or 0
    REPLACED_STREAM,  # (rows, L) addresses of C floats that replace what enters a layer, or 0
    PLAN_SIZE,
) = range(62)
# fmt: on


# Places in the table of loops (`gpt2.cpu.tiles`): a product of r rows is at r, scores and mixes
# of q queries at + q.
LOOP_PRODUCT, LOOP_EXPONENTIALS, LOOP_HALVES, LOOP_SCORES, LOOP_MIX, LOOPS = 0, 16, 17, 18, 27, 36

# Matrices of a layer, and vectors of a layer, in order.
ATTENTION_IN, ATTENTION_OUT, EXPAND, PROJECT = range(4)
NORM_1, NORM_1_BIAS, IN_BIAS, OUT_BIAS, NORM_2, NORM_2_BIAS, EXPAND_BIAS, PROJECT_BIAS = range(8)

# What a product does with its sums: store them, pass them through GELU, add them to what is there,
# or store them with one number more for each row (the head's mean row).
STORE, GELU, ADD, SHIFT = range(4)

# Numbers of a counter's cache line, so that two counters never share one.
LINE = 8

# Rows of scores that a thread has room for: of eight queries, and four to work in.
SCORE_ROWS, SOFTMAX_ROW, QUERY_ROW, FOUND_ROW = 12, 8, 9, 10
