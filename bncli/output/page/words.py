"""The meaning of the columns of a page, by the keys of rows, for a reader who has not read the manual."""

WORDS = {
    "verdict": "PASS: right within rounding. INEXACT: right, with digits lost far from 0. REFUSED: an error that a "
    "kernel may raise. WRONG: not right. UNDECIDED: the data could not have shown a mistake. "
    "Of a comparison: FASTER and SLOWER by more than noise explains, SAME within it, UNSURE neither.",
    "digits": "Correct decimal digits of the worst element.",
    "median": "The median time of a call; the first call, which compiles, is not among its samples.",
    "spread": "The median absolute deviation of the samples, relative to the median.",
    "speedup": "The median ratio of samples of the same round: how many times faster than the first kernel.",
    "of_limit": "The time relative to the memory's for moving the same bytes; 1× cannot be beaten.",
    "bandwidth": "Bytes of x, y, dy and dx, each counted once, divided by the time of a call.",
    "memory_passes": "How many arrays of x's size the memory could have moved in that time: "
    "at the limit 2 for forward, 3 for backward.",
    "outliers": "Samples far from the median; none is dropped.",
    "rounds": "Samples; each round takes one of every kernel.",
    "calls": "Calls in one sample, timed together.",
    "stopped": "Why no more samples were taken.",
    "first": "The time of the first call, including compilation.",
    "noise_floor": "How far from 1 the ratio of a kernel to itself was, timed in the same way.",
    "array": "The array that is judged: y, dx, dgamma, dbeta, a saved statistic, inference, or the contract.",
    "method": "The standard: the formulas in a wider type, or slopes of the kernel's own forward pass.",
    "share": "The error divided by the error budget; above 1 the array is wrong.",
    "error": "The worst error, relative to the scale of the values.",
    "budget": "The error that rounding may cause, derived from the dtype, the number of samples and the conditioning.",
    "index": "The index of the worst element, in the shape of the problem.",
    "ratio": "|mean| / std of x; of a comparison the new run's time divided by the old run's.",
    "beside": "The quantity that the times were divided by before they were compared: the machine's clock, or the time "
    "of the memory's copies or additions in the same rounds; nothing: seconds were compared.",
    "low": "The lower end of the 95 % interval.",
    "high": "The upper end of the 95 % interval.",
    "floor": "How much two runs of the same code may differ.",
    "caught": "The problems on which the kernel is rejected, of those on which its fault can show.",
    "torch_slow": "Whether PyTorch's own gradcheck rejects the kernel.",
    "torch_fast": "Whether PyTorch's gradcheck rejects the kernel with fast_mode=True.",
}
