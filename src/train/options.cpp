#include "train/options.h"

#include "base/error.h"
#include "base/stop_signals.h"

namespace lacuna {

std::vector<Key> train_keys() {
  return {
      key::integer("train.epochs", "100", "How often each sample is seen.")
          .unit("epochs")
          .between(1, 1 << 20),
      key::integer(
          "train.batch", "256",
          "Samples of a step, over all ranks. A run that is continued with another number takes "
          "it from then on.")
          .unit("samples")
          .between(2, 1 << 24),
      key::integer(
          "train.accumulate", "1",
          "Parts that a batch is computed in, to need less memory; gradients are averaged, "
          "normalisation sees each part alone, and objectives whose loss compares the "
          "samples of a batch refuse more than 1.")
          .unit("parts")
          .between(1, 1 << 16),
      key::integer(
          "train.max_steps", "0",
          "Ends the training after so many steps, whatever train.epochs says; 0: no limit.")
          .unit("steps")
          .min(0),
      key::one_of("train.device", {"auto", "cpu", "cuda", "reference"}, "auto",
                  "Where to compute: auto takes a GPU where every rank has one, else the CPU; "
                  "reference is slow double precision, to compare with.")
          .execution(),
      key::one_of(
          "train.precision", {"auto", "f32", "bf16", "f16"}, "auto",
          "Type of activations: auto takes bf16 on GPUs, and on CPUs where that is faster "
          "than f32 on every rank (AMX, or AMD's AVX512-BF16), else f32. f16, with a scaled "
          "loss, is for GPUs alone."),
      key::one_of("train.convolution", {"direct", "exact", "fast"}, "direct",
                  "How 3x3 convolutions of stride 1 are computed on CPUs in f32: direct; or by the "
                  "fastest of that and Winograd's F(2x2), which rounds as finely (exact); or also "
                  "F(4x4), with relative errors of 1.3e-6 instead of 4e-7 (fast; "
                  "docs/performance.md). exact and fast are for CPUs alone."),
      key::boolean("train.tf32", "false",
                   "On GPUs, round the factors of f32 products to 10 bits of mantissa (TF32)."),
      key::boolean("train.deterministic", "true",
                   "On GPUs, use only algorithms that give the same bits in every run.")
          .execution(),
      key::boolean("train.recording", "true",
                   "On GPUs, record a step as a CUDA graph and start it by one call.")
          .execution(),
      key::path("train.plans", "",
                "On GPUs, a file of plans of cuDNN that lacuna check --time-plans has written; "
                "otherwise, and for problems that are not in it, the library's heuristics.")
          .execution(),
      key::one_of("train.instruction_set",
                  {"auto", "baseline", "avx2", "avx512", "avx512_bf16", "amx"}, "auto",
                  "The most that kernels use; auto: what the processors of all ranks have.")
          .execution(),
      key::integer("train.threads", "0",
                   "Compute threads of a rank; 0: its share of the processors it may use.")
          .unit("threads")
          .between(0, 4096)
          .execution(),
      key::one_of("train.statistics", {"global", "local"}, "global",
                  "Batch normalisation over the global batch, or over each rank's part."),
      key::boolean("train.shard_optimizer", "false",
                   "Each rank keeps and updates its slice alone of the optimizer's state, which "
                   "then takes a "
                   "rank's share of the memory (ZeRO stage 1); what is sent over the network stays "
                   "the same.")
          .execution(),
      key::bytes("train.bucket", "4 MiB",
                 "Gradients that are summed over the ranks in one message.")
          .min(1)
          .execution(),
      key::number("train.checkpoint_minutes", "10", "Time between checkpoints.")
          .unit("minutes")
          .above(0)
          .execution(),
      key::integer("train.checkpoint_steps", "0",
                   "A checkpoint every so many steps as well; 0: by time alone.")
          .unit("steps")
          .min(0)
          .execution(),
      key::integer("train.keep", "3",
                   "How many of the last checkpoints stay; the best one stays too.")
          .min(1)
          .execution(),
      key::texts("train.stop_signals", "[\"USR1\", \"TERM\"]",
                 concat("Signals that end a stage early, to be continued, when any rank gets one: ",
                        join(stop_signal_names()), "."))
          .execution(),
  };
}

namespace {

std::vector<std::string> stop_signals(const Configuration& c) {
  const std::vector<std::string>& signals = c.texts("train.stop_signals");
  for (const std::string& name : signals) {
    if (signal_number(name) == 0)
      bad_input("train.stop_signals has ", name, ": give some of ", join(stop_signal_names()));
  }
  return signals;
}

}  // namespace

namespace {

ConvolutionMethods convolution_methods(const std::string& word) {
  if (word == "fast") return ConvolutionMethods::fast;
  return word == "exact" ? ConvolutionMethods::exact : ConvolutionMethods::direct;
}

}  // namespace

TrainOptions train_options(const Configuration& c) {
  return {.seed = static_cast<uint64_t>(c.integer("seed")),
          .epochs = c.integer("train.epochs"),
          .batch = c.integer("train.batch"),
          .accumulate = c.integer("train.accumulate"),
          .max_steps = c.integer("train.max_steps"),
          .device = c.text("train.device"),
          .precision = c.text("train.precision"),
          .convolutions = convolution_methods(c.text("train.convolution")),
          .tf32 = c.boolean("train.tf32"),
          .deterministic = c.boolean("train.deterministic"),
          .recording = c.boolean("train.recording"),
          .plans = c.path("train.plans"),
          .instruction_set = c.text("train.instruction_set"),
          .threads = c.integer("train.threads"),
          .synchronise_statistics = c.is("train.statistics", "global"),
          .shard_optimizer = c.boolean("train.shard_optimizer"),
          .bucket_bytes = c.bytes("train.bucket"),
          .checkpoint_minutes = c.number("train.checkpoint_minutes"),
          .checkpoint_steps = c.integer("train.checkpoint_steps"),
          .keep = c.integer("train.keep"),
          .stop_signals = stop_signals(c),
          .log_interval = c.number("log.interval")};
}

}  // namespace lacuna
