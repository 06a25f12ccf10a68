// The arithmetic of one training step of the IMDB classifier alone: a lower bound of the time of a step.
//
//     g++ -O3 -march=native -ffast-math -fopenmp-simd limit_imdb_step.cpp -o limit_imdb_step -lopenblas
//     ./limit_imdb_step 5             (steps; one more before them is not measured)
//
// The recurrence of the LSTM forward and backward, the product of inputs and weights, and KL divergence and Adam in one
// pass over the embedding. A step makes three products of the size of the input product, so that counts three times. The
// last line is a report in JSON as protocol.py describes it. The products use all threads, the elementwise loops one.

#include <cblas.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr int length = 200, texts = 128, inputs = 300, units = 128, gates = 4 * units, rows = length * texts;
constexpr size_t embedding_weights = size_t(20003) * inputs;
constexpr float training_texts = 21250, learning_rate = 5e-4f;

using Array = std::vector<float>;

Array random_array(size_t size, float scale) {
    Array values(size);
    for (float& value : values) value = scale * (2.f * std::rand() / RAND_MAX - 1.f);
    return values;
}

template <class Function>
double seconds_of(Function function) {
    const auto started = std::chrono::steady_clock::now();
    function();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

// result (m, n) = op(a) op(b) + beta * result; k is the common dimension; all matrices are stored by rows.
void product(CBLAS_TRANSPOSE op_a, CBLAS_TRANSPOSE op_b, int m, int n, int k, const float* a, const float* b, float beta,
             float* result) {
    cblas_sgemm(CblasRowMajor, op_a, op_b, m, n, k, 1.f, a, op_a == CblasTrans ? m : k, b, op_b == CblasTrans ? k : n,
                beta, result, n);
}

inline float hard_sigmoid(float x) { return std::fmin(1.f, std::fmax(0.f, 0.2f * x + 0.5f)); }
inline float hard_sigmoid_slope(float y) { return y > 0.f && y < 1.f ? 0.2f : 0.f; }

// Gates in the order input, forget, cell, output. h and c have one more row block than steps: the initial state.
struct LSTM {
    Array W_hid = random_array(size_t(units) * gates, 0.1f), W_hid_gradient = Array(W_hid.size());
    Array preactivations = Array(size_t(rows) * gates);       // becomes activations, then the gradient
    Array h = Array(size_t(rows + texts) * units), c = h, tanh_c = Array(size_t(rows) * units);
    Array h_gradient = Array(size_t(texts) * units), c_gradient = h_gradient;

    void forward() {
        for (int step = 0; step < length; ++step) {
            float* block = &preactivations[size_t(step) * texts * gates];
            product(CblasNoTrans, CblasNoTrans, texts, gates, units, &h[size_t(step) * texts * units], W_hid.data(), 1.f,
                    block);
            for (int text = 0; text < texts; ++text) {
                float* gate = block + size_t(text) * gates;
                const size_t row = (size_t(step) * texts + text) * units, next = row + size_t(texts) * units;
                #pragma omp simd
                for (int unit = 0; unit < units; ++unit) {
                    const float input = hard_sigmoid(gate[unit]), forget = hard_sigmoid(gate[units + unit]);
                    const float cell = tanhf(gate[2 * units + unit]), output = hard_sigmoid(gate[3 * units + unit]);
                    const float new_c = forget * c[row + unit] + input * cell, new_tanh = tanhf(new_c);
                    gate[unit] = input, gate[units + unit] = forget;
                    gate[2 * units + unit] = cell, gate[3 * units + unit] = output;
                    c[next + unit] = new_c, tanh_c[row + unit] = new_tanh, h[next + unit] = output * new_tanh;
                }
            }
        }
    }

    // The loss depends on the last h alone.
    void backward() {
        h_gradient.assign(h_gradient.size(), 1e-3f);
        c_gradient.assign(c_gradient.size(), 0.f);
        for (int step = length - 1; step >= 0; --step) {
            float* block = &preactivations[size_t(step) * texts * gates];
            for (int text = 0; text < texts; ++text) {
                float* gate = block + size_t(text) * gates;
                const size_t row = (size_t(step) * texts + text) * units;
                float *dh = &h_gradient[size_t(text) * units], *dc = &c_gradient[size_t(text) * units];
                #pragma omp simd
                for (int unit = 0; unit < units; ++unit) {
                    const float input = gate[unit], forget = gate[units + unit];
                    const float cell = gate[2 * units + unit], output = gate[3 * units + unit];
                    const float squashed = tanh_c[row + unit];
                    const float d = dc[unit] + dh[unit] * output * (1.f - squashed * squashed);
                    gate[unit] = d * cell * hard_sigmoid_slope(input);
                    gate[units + unit] = d * c[row + unit] * hard_sigmoid_slope(forget);
                    gate[2 * units + unit] = d * input * (1.f - cell * cell);
                    gate[3 * units + unit] = dh[unit] * squashed * hard_sigmoid_slope(output);
                    dc[unit] = d * forget;
                }
            }
            product(CblasNoTrans, CblasTrans, texts, units, gates, block, W_hid.data(), 0.f, h_gradient.data());
        }
        product(CblasTrans, CblasNoTrans, units, gates, rows, h.data(), preactivations.data(), 0.f,
                W_hid_gradient.data());
    }
};

// Means and log standard deviations of the embedding, with both moments of Adam for each.
struct Embedding {
    Array mean = random_array(embedding_weights, 0.05f), log_sigma = Array(embedding_weights, -3.f);
    Array gradient = random_array(embedding_weights, 1e-4f);
    Array mean_moment = Array(embedding_weights), mean_square = mean_moment;
    Array sigma_moment = mean_moment, sigma_square = mean_moment;

    static void adam(float gradient, float& moment, float& square, float& parameter) {
        moment = 0.9f * moment + 0.1f * gradient;
        square = 0.999f * square + 0.001f * gradient * gradient;
        parameter -= learning_rate * moment / (std::sqrt(square) + 1e-8f);
    }

    void update() {
        const float noise = 0.5f;
        #pragma omp simd
        for (size_t index = 0; index < embedding_weights; ++index) {
            const float weight = mean[index], sigma = expf(log_sigma[index]);
            const float log_alpha = 2.f * (log_sigma[index] - logf(std::fabs(weight) + 1e-20f));
            const float clipped = std::fmin(8.f, std::fmax(-8.f, log_alpha));
            const float s = 1.f / (1.f + expf(-1.5f * (clipped + 1.3f)));
            const float slope = (-0.5f / (1.f + expf(clipped)) - 0.96f * s * (1.f - s)) / training_texts;
            const float kl_gradient = clipped == log_alpha ? 2.f * slope : 0.f;         // of log sigma
            adam(gradient[index] - kl_gradient / weight, mean_moment[index], mean_square[index], mean[index]);
            adam(gradient[index] * noise * sigma + kl_gradient, sigma_moment[index], sigma_square[index],
                 log_sigma[index]);
        }
    }
};

}  // namespace

int main(int count, char** arguments) {
    const int steps = count > 1 ? std::atoi(arguments[1]) : 5;
    LSTM lstm;
    Embedding embedding;
    const Array embedded = random_array(size_t(rows) * inputs, 0.05f), W_in = random_array(size_t(inputs) * gates, 0.1f);
    double first = 0;
    std::string measured;
    for (int step = 0; step <= steps; ++step) {
        const double input = seconds_of([&] {
            product(CblasNoTrans, CblasNoTrans, rows, gates, inputs, embedded.data(), W_in.data(), 0.f,
                    lstm.preactivations.data());
        });
        const double forward = seconds_of([&] { lstm.forward(); }), backward = seconds_of([&] { lstm.backward(); });
        const double update = seconds_of([&] { embedding.update(); });
        const double total = forward + backward + 3 * input + update;
        std::fprintf(stderr, "recurrence forward %.4f backward %.4f, input product %.4f, KL and Adam %.4f s\n", forward,
                     backward, input, update);
        if (step == 0) {
            first = total;
        } else {
            measured += (measured.empty() ? "" : ", ") + std::to_string(total);
        }
    }
    std::printf("{\"library\": \"OpenBLAS\", \"device\": \"cpu\", \"first_step_seconds\": %f, \"checksum\": %g, "
                "\"step_seconds\": [%s]}\n", first, lstm.W_hid_gradient[0] + embedding.mean[0], measured.c_str());
}
