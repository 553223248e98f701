// Benchmarks of Google Benchmark whose rows are hard to read.
#include <benchmark/benchmark.h>

#include <cmath>
#include <thread>

static void BM_Args(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::sqrt(static_cast<double>(state.range(0))));
  state.counters["not_a_number"] = NAN;
  state.counters["endless"] = INFINITY;
  state.SetBytesProcessed(state.iterations() * 64);
}
BENCHMARK(BM_Args)->ArgName("n")->Arg(8)->Arg(64)->Repetitions(3);

static void BM_Milliseconds(benchmark::State& state) {
  for (auto _ : state) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}
BENCHMARK(BM_Milliseconds)->Unit(benchmark::kMillisecond)->UseRealTime();

static void BM_Manual(benchmark::State& state) {
  for (auto _ : state) state.SetIterationTime(0.5);
}
BENCHMARK(BM_Manual)->UseManualTime()->Unit(benchmark::kSecond)->Iterations(2);

static void BM_Error(benchmark::State& state) {
  state.SkipWithError("no such \"thing\"");
  for (auto _ : state) {
  }
}
BENCHMARK(BM_Error);

BENCHMARK_MAIN();
