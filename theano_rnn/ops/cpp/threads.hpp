// Threads that share the work of one call.

#ifndef THEANO_RNN_THREADS_HPP
#define THEANO_RNN_THREADS_HPP

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

namespace theano_rnn {

static int available_threads() {
    const char* wanted = getenv("OMP_NUM_THREADS");
    int n = wanted ? atoi(wanted) : 0;
#ifdef __linux__
    cpu_set_t set;
    if (n <= 0 && sched_getaffinity(0, sizeof(set), &set) == 0) n = CPU_COUNT(&set);
#endif
    if (n <= 0) n = (int)std::thread::hardware_concurrency();
    return std::max(1, n);
}

// The threads of one call, which can wait for each other at a barrier.
class team {
public:
    int size;
    std::mutex mutex;

    team() : size(1), arrived(0), round(0) {}

    // Returns when all threads have called it.
    void barrier() {
        if (size == 1) return;
        const unsigned now = round.load();
        if (arrived.fetch_add(1) + 1 == size) {
            arrived.store(0);
            {
                std::lock_guard<std::mutex> lock(mutex);
                round.store(now + 1);
            }
            all_arrived.notify_all();
            return;
        }
        // Sleep last: schedulers tend to wake two threads that sleep alternately on the same core.
        for (int i = 0; i < 20000; i++) {
            if (round.load() != now) return;
            if (i < 2000) pause();
            else std::this_thread::yield();
        }
        std::unique_lock<std::mutex> lock(mutex);
        all_arrived.wait(lock, [&] { return round.load() != now; });
    }

private:
    std::atomic<int> arrived;
    std::atomic<unsigned> round;
    std::condition_variable all_arrived;

    static inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
};

// Calls part(0, team), ..., part(team.size - 1, team), each in its own thread. team.size is n, or less if not
// all threads can be started. All threads have ended when the function returns.
template <typename F>
static void in_team(int n, F part) {
    team all;
    std::vector<std::thread> threads;
    {
        std::lock_guard<std::mutex> until_all_are_started(all.mutex);
        try {
            threads.reserve(n);
            for (int i = 1; i < n; i++) {
                threads.emplace_back([&all, &part, i] {
                    { std::lock_guard<std::mutex> all_are_started(all.mutex); }
                    part(i, all);
                });
                all.size++;
            }
        } catch (const std::exception&) {
        }
    }
    part(0, all);
    for (auto& thread : threads) thread.join();
}

// Calls part(0), ..., part(n - 1), each in its own thread if n threads can be started.
template <typename F>
static void in_parallel(int n, F part) {
    in_team(n, [&part, n](int first, const team& all) {
        for (int i = first; i < n; i += all.size) part(i);
    });
}

struct range { long begin, end; };

// Begin and range of the i-th of n nearly equal parts of 0..total, in multiples of `unit`.
static inline long part_begin(long total, long unit, int i, int n) {
    const long units = (total + unit - 1) / unit;
    return std::min(total, units * i / n * unit);
}
static inline range part_of(long total, long unit, int i, int n) {
    return {part_begin(total, unit, i, n), part_begin(total, unit, i + 1, n)};
}

}  // namespace theano_rnn

#endif
