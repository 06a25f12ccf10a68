// Check of shapes, for arrays on any device. Needs Python.h.

#ifndef THEANO_RNN_SHAPES_HPP
#define THEANO_RNN_SHAPES_HPP

#include <string>
#include <vector>

namespace theano_rnn {

// Returns whether a shape is the expected one. If not, sets a Python exception. The first dimension may be 1 if
// `one_row_allowed` is set.
static bool check_shape(const std::string& name, const std::vector<long>& shape, const std::vector<long>& expected,
                        bool one_row_allowed = false) {
    bool same = shape.size() == expected.size();
    for (size_t k = 0; same && k < shape.size(); k++)
        same = shape[k] == expected[k] || (k == 0 && one_row_allowed && shape[k] == 1);
    if (same) return true;
    std::string wanted, got;
    for (long n : expected) wanted += (wanted.empty() ? "" : ", ") + std::to_string(n);
    for (long n : shape) got += (got.empty() ? "" : ", ") + std::to_string(n);
    PyErr_Format(PyExc_ValueError, "%s has shape (%s), but (%s) was expected", name.c_str(), got.c_str(),
                 wanted.c_str());
    return false;
}

}  // namespace theano_rnn

#endif
