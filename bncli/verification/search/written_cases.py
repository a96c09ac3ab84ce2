"""Cases around which real kernels change their path, in the order in which they are tried.

A kernel that does not take the type of one gets it in another.
"""

# Kernels that compile for each shape get no further than these.
TELLING = (
    "6x7x4/channels-first/float32/eps=1e-05",
    "5x64x9/channels-first/float64/eps=0.001 data=+1 history=20f20bi",
    "300x7/per-activation/float32/eps=1e-05 gamma=ones beta=zeros",
    "7x7/channels-last/float64/eps=1e-08 gamma=x100 history=fbwfbi",
    "1x6x16/channels-first/float32/eps=1 dy=x1000 history=f2bi",
    "9x12x5/channels-first/float32/eps=1e-05 memory=x[::2],dy[::2],gamma[::2]",
    "1500x4/channels-last/float64/eps=1e-05 data=+1000 history=2(fb)igi",
    "2x16x4x4/channels-first/float64/eps=1e-12 data=x1e-3 history=efob",
    "4x64x14x14/channels-first/float32/eps=1e-05 beta=x10 history=fybi",
    "8x3x5/channels-first/float64/eps=1e-05 gamma=zeros memory=dy:fortran",
    "12x5x3/channels-first/float32/eps=1e-05 data=nan",
    "1x9/per-activation/float32/eps=1e-05",
)
PATHS = (
    "5x6x3/channels-first/float64/eps=1e-05 memory=dy[...,::2]",
    "6x32x8x8/channels-first/float64/eps=1e-05 memory=x:channels-last",
    "2x8/per-activation/float64/eps=0.001 history=160(fb)i",
    "9x7x4/channels-first/float32/eps=1e-05 memory=beta[::2] gamma=one-zero",
    "4x8x6/channels-first/float64/eps=0 data=x1e-20",
    "513x6/per-activation/float32/eps=1e-05 data=outlier beta=zeros",
    "600x5/channels-last/float64/eps=1e-05 data=x1e6",
    "6x5x8/channels-first/float64/eps=1e-05 memory=x:fortran",
    "8x6x2/channels-first/float32/eps=1e-05 data=+1000",
    "6x5x7/channels-first/float32/eps=1e-05 gamma=x1e-9",
    "784x6/per-activation/float16/eps=1e-05",
    "4096x8/per-activation/bfloat16/eps=1e-05",
    "7x6x4/channels-first/float32/eps=1e-05 memory=x[...,::2],out",
    "5x7x6/channels-first/float64/eps=1e-05 memory=x[::-1],dy[::-1]",
    "9x4x4/channels-first/float32/eps=1e-05 data=subnormal beta=zeros",
    "4x40000/per-activation/float64/eps=1e-05",
    "12x5x7/channels-first/float64/eps=1e-05 memory=read-only,out gamma=negative",
    "6x9x4/channels-first/float32/eps=1e-05 memory=x:misaligned,dy:misaligned,gamma:misaligned threads=2",
    "5000x4/channels-last/float32/eps=1e-05 threads=2",
    "16x100x6/channels-first/float64/eps=1e-05 data=decades-4 threads=3",
    "5x6x4/channels-first/float32/eps=1e-05 data=x1e20",
    "33x5x2/channels-first/float64/eps=1e-12 history=fibeofb data=grid",
    "8x5x3/channels-first/float64/eps=1e-05 dy=x1000 data=inf",
    "4x70000/per-activation/float32/eps=1e-05",
    "3x128x16x16/channels-first/float64/eps=1e-05 dy=noise,x1000",
    "40000x2/channels-last/float64/eps=1e-05 data=skewed",
    "7x6x1/channels-first/float64/eps=1 data=x1e-3 memory=gamma[::-1],beta[::-1]",
    "2x3x70000/channels-first/float32/eps=1e-05",
    "10x6x3/channels-first/float32/eps=1e-05 data=nearly-constant",
    "70001x3/per-activation/float32/eps=1e-05 threads=4",
    "8x140000/per-activation/float64/eps=1e-05",
    "3x21x33333/channels-first/float32/eps=1e-05",
)
