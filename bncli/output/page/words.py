"""The meaning of the columns of a page, by the keys of rows, for a reader who has not read the manual."""

WORDS = {
    "verdict": "PASS: right within rounding. INEXACT: right, with digits lost far from 0. REFUSED: the kernel "
    "raised an error that the contract allows. WRONG: not right. UNDECIDED: the data could not have shown a mistake. "
    "In a comparison: FASTER and SLOWER: by more than the noise; SAME: within it; UNSURE: neither.",
    "digits": "Correct decimal digits of the worst element.",
    "median": "The median time of a call, without the first call, which may compile.",
    "spread": "The median absolute deviation of the samples, relative to the median.",
    "speedup": "The speed-up over the first kernel: the median ratio of samples of the same round.",
    "of_limit": "The time divided by the memory roofline, the least time to move the same bytes; 1× cannot be beaten.",
    "of_attainable": "The time divided by what the memory needs if x, and dy in backward, must be read twice: where a "
    "cache line of features has more samples than a core's own cache holds. Elsewhere the same as ×limit.",
    "bandwidth": "Bytes of x, y, dy and dx, each counted once, divided by the time of a call.",
    "memory_passes": "The arrays of x's size that the memory could have moved in that time; "
    "at the roofline 2 for forward, 3 for backward.",
    "outliers": "Samples far from the median; none is dropped.",
    "rounds": "Samples; each round takes one of every kernel.",
    "calls": "Calls in one sample, timed together.",
    "stopped": "Why no more samples were taken.",
    "first": "The time of the first call, including compilation.",
    "noise_floor": "The deviation from 1 of the ratio of two timings of the same kernel in the same rounds.",
    "array": "The array that is judged: y, dx, dgamma, dbeta, a saved statistic, inference, or the contract.",
    "method": "The standard: the formulas in a wider type, or slopes of the kernel's own forward pass.",
    "share": "The error divided by the error budget; above 1 the array is wrong.",
    "error": "The worst error, relative to the scale of the values.",
    "budget": "The error that rounding may cause, derived from the dtype, the number of samples and the conditioning.",
    "index": "The index of the worst element in the problem's own shape.",
    "ratio": "|mean| / std of x; in a comparison, the new run's time divided by the old run's.",
    "beside": "The memory roofline (copy, add) of the same rounds that the times were relative to when compared, or in "
    "older results the machine's clock; empty: seconds were compared.",
    "run": "The newer of the two results that are compared.",
    "against": "The older of the two results that are compared.",
    "low": "The lower end of the 95 % interval.",
    "high": "The upper end of the 95 % interval.",
    "floor": "The difference to expect between two runs of the same code.",
    "caught": "The problems on which the kernel is rejected, of those that can show its fault.",
    "torch_slow": "Whether PyTorch's own gradcheck rejects the kernel.",
    "torch_fast": "Whether PyTorch's gradcheck rejects the kernel with fast_mode=True.",
}
