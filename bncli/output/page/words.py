"""What the columns of a page mean, for who has not read the manual: by the keys of rows."""

WORDS = {
    "verdict": "PASS: right within what rounding may cost. WRONG: not. UNDECIDED: the data could not have shown it. "
    "Of a comparison: FASTER and SLOWER by more than noise explains, SAME within it, UNSURE neither.",
    "digits": "Correct decimal digits of the worst element.",
    "median": "The median time of a call; the first call, which compiles, is not among its samples.",
    "spread": "The median absolute deviation of the samples, relative to the median.",
    "speedup": "The median ratio of samples of the same round: how many times faster than the first kernel.",
    "of_limit": "How many times longer than the memory needs to move the same bytes; 1× cannot be beaten.",
    "bandwidth": "Bytes of x, y, dy and dx, each counted once, by the time of a call.",
    "memory_passes": "How many arrays of x's size the memory could have moved in that time: "
    "at the limit 2 for forward, 3 for backward.",
    "outliers": "Samples far from the median; none is dropped.",
    "rounds": "Samples, taken in turns with those of all others.",
    "calls": "Calls that a sample times together.",
    "stopped": "Why no more samples were taken.",
    "first": "The first call, with its compilation.",
    "noise_floor": "How far from 1 the ratio of a kernel to itself was, timed in the same way.",
    "array": "What is judged: y, dx, dgamma, dbeta, a saved statistic, inference, or the contract.",
    "method": "What it is judged against: the formulas in a wider type, or slopes of the kernel's own forward pass.",
    "share": "The error by the error budget; above 1 it is wrong.",
    "error": "The worst error, relative to the scale of what is compared.",
    "budget": "What rounding may cost, derived from the dtype, the number of samples and the conditioning.",
    "index": "Where the worst element is, in the shape of the problem.",
    "ratio": "|mean| / std of x; of a comparison the time of the new run by that of the old.",
    "beside": "What is made equal in the ratio, where times wander less so: the machine's clock, or how long the "
    "memory's copies or additions took in the same rounds.",
    "low": "The lower end of the 95 % interval.",
    "high": "The upper end of the 95 % interval.",
    "floor": "What two runs of the same code may differ by.",
    "caught": "On how many problems the kernel is rejected, of those on which its fault can show.",
    "torch_slow": "Whether PyTorch's own gradcheck rejects the kernel.",
    "torch_fast": "Whether it does with fast_mode=True.",
}
