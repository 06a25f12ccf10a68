"""Look-up of rows by Theano's own indexing operations."""

__all__ = ["reference_gather"]


def reference_gather(rows, index, scale):
    """Return `gather`, differentiated by Theano; `scale` may be None."""
    output = rows[index.flatten()].reshape((index.shape[0], index.shape[1], rows.shape[1]))
    return output if scale is None else output * scale.dimshuffle(0, 1, "x")
