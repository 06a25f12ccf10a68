"""Number of operations in a training step."""

from benchmarks import matrix_products


def test_operations_of_a_step():
    # h W_hid is (1, 2) x (2, 8): 16 multiplications and additions; h W is (1, 2) x (2, 3): 6. Each three times.
    assert matrix_products.step_operations(steps=1, texts=1, hidden_units=2, characters=3) == 3 * 2 * (16 + 6)
    assert matrix_products.step_operations(5, 7, 2, 3) == 5 * 7 * matrix_products.step_operations(1, 1, 2, 3)
