"""What are the nouns of bncli?

In: numbers and text. Out: layout, problem, ranges, case, source, kernel, rows, report, chart, units.
Nothing here reads files, prints, or knows Click and rich. The glossary:

x, y              the input batch, axis 0 being the batch axis, and the output gamma · x_hat + beta
gamma, beta       scale and shift, (F,), trainable
mean, var         per feature, (F,): the batch's mean and its biased variance
inv_std, x_hat    1 / sqrt(var + epsilon), (F,); (x - mean) · inv_std, like x
dy, dx            the gradients of the loss with respect to y and x; backward returns dx, dgamma and dbeta
running mean, var a layer's own statistics, updated with a momentum; biased or unbiased by a named convention
layout            which axes are features: per-activation, channels-last or channels-first
canonical view    the shape (outer, feature, inner) = (N, F, S) that every layout has after a reshape
problem           shape, layout, dtype and epsilon, in one line that parses back
case              a problem with its arrays, and the seed and options that made them

kernel            one implementation: forward, backward and perhaps infer, on canonical arrays
pass              forward, backward or inference of a kernel, as it is verified or timed
saved             the object that forward returns for its backward
reference         the kernel that computes the formulas in a wider dtype; others are compared with it
slope             a numerical derivative of a kernel's own forward, to compare its gradients with
share             an error divided by its budget, the error that rounding allows: above 1 is WRONG
search            drawing problems, data, memory layouts and call histories until one is WRONG
call history      the calls before the one that is judged, and the memory that they used
roofline          the time that the memory needs to move the bytes of a pass, measured in the same run
fork-join latency the time that threads need to start and to join
"""
