#include "run/checkpoint.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/random.h"
#include "io/durable_file.h"
#include "io/hdf5.h"
#include "support/temporary_folder.h"

using namespace lacuna;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// A small state with every kind of shape: matrices, a scalar, nothing at all, every size of
// element.
struct SmallState {
  struct Tensor {
    std::string name;
    DType dtype;
    Shape shape;
    std::vector<uint8_t> bytes;
  };
  std::vector<Tensor> tensors{
      {"encoder.conv1.weight", DType::f32, {16, 3, 3, 3}, {}},
      {"encoder.layer1.0.conv1.weight", DType::f32, {64, 400}, {}},
      {"encoder.layer1.0.norm1.running_mean", DType::f64, {64}, {}},
      {"encoder.layer1.0.norm1.steps", DType::i64, {}, {}},
      {"objective.queue", DType::bf16, {7, 5}, {}},
      {"objective.mask", DType::u8, {3, 1, 5}, {}},
      {"objective.empty", DType::f32, {0, 4}, {}},
      {"optimizer.momentum.encoder.conv1.weight", DType::f32, {16, 3, 3, 3}, {}},
  };
  explicit SmallState(uint64_t seed) {
    for (Tensor& each : tensors) {
      const Draws draws(seed, Purpose::test, hash_name(each.name));
      each.bytes.resize(static_cast<size_t>(each.shape.count()) * size_of(each.dtype));
      for (size_t i = 0; i < each.bytes.size(); ++i)
        each.bytes[i] = static_cast<uint8_t>(draws.bits(static_cast<uint32_t>(i)));
    }
  }
  std::vector<NamedTensor> named() const {
    std::vector<NamedTensor> all;
    for (const Tensor& each : tensors)
      all.push_back({each.name, each.dtype, each.shape, each.bytes.data()});
    return all;
  }
  std::vector<TensorTarget> targets() {
    std::vector<TensorTarget> all;
    for (Tensor& each : tensors) {
      std::fill(each.bytes.begin(), each.bytes.end(), uint8_t{0xee});
      all.push_back({each.name, each.dtype, each.shape, each.bytes.data()});
    }
    return all;
  }
  bool operator==(const SmallState& other) const {
    return std::equal(tensors.begin(), tensors.end(), other.tensors.begin(), other.tensors.end(),
                      [](const Tensor& a, const Tensor& b) { return a.bytes == b.bytes; });
  }
};

CheckpointInfo info_of(int64_t step) {
  CheckpointInfo info;
  info.step = step;
  info.epoch = step / 10;
  info.position = step * 256;
  info.seed = 7;
  info.configuration = "[train]\nepochs = 10 # über\n";
  info.environment = {"0.1.0", "Open MPI 4.1.4", "1.10.8", "2.6", 2,
                      3,       "cpu device",     "avx512", "f32"};
  // In the order of their names, as they are read.
  info.data = {{"paired", "/ages", {{"/data/a.h5", 1000, 10}}, 30, {{DType::f64, {}}}, "h2"},
               {"train",
                "/images",
                {{"/data/a.h5", 1000, 10}, {"/data/b.h5", 2000, 20}},
                30,
                {{DType::u16, {64, 48, 3}}},
                "h1"}};
  info.metrics.append(step - 1, std::vector<Scalar>{{"loss", 0.1}});
  info.metrics.append(step, std::vector<Scalar>{{"loss", 0.2}, {"lr", 1e-300}});
  return info;
}

void save(const fs::path& run, int64_t step, std::optional<double> score = std::nullopt) {
  CheckpointWriter writer(run, {.last = 100}, step - 1);
  CheckpointInfo info = info_of(step);
  info.score = score;
  writer.start(info, SmallState(static_cast<uint64_t>(step)).named());
  writer.wait();
}

void no_warning(const std::string& text) { FAIL("unexpected warning: " << text); }

bool holds_state_of(const Checkpoint& checkpoint, int64_t step) {
  SmallState loaded(0);
  load_tensors(checkpoint, loaded.targets(), Match::all);
  return loaded == SmallState(static_cast<uint64_t>(step));
}

// What a start after a crash would do: the step that it continues from (0: none), and the warnings.
struct Continued {
  int64_t step = 0;
  std::vector<std::string> warnings;
};
Continued continue_run(const fs::path& run) {
  Continued continued;
  const auto found = find_checkpoint(
      run, "last", [&](const std::string& text) { continued.warnings.push_back(text); });
  if (found) {
    REQUIRE(holds_state_of(*found, found->info.step));
    continued.step = found->info.step;
  }
  return continued;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& each : fs::directory_iterator(folder))
    names.push_back(each.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// The run with the checkpoints 10 and 20, of which the second is then spoilt by `spoil`.
void expect_fallback(const std::function<void(const fs::path& second)>& spoil,
                     const std::string& reason) {
  const TemporaryFolder run;
  save(run.path(), 10);
  save(run.path(), 20);
  spoil(checkpoint_folder(run.path(), 20));
  const Continued continued = continue_run(run.path());
  CHECK(continued.step == 10);
  REQUIRE(continued.warnings.size() == 1);
  CHECK_THAT(continued.warnings[0], Catch::StartsWith("checkpoint 20 is not used"));
  CHECK_THAT(continued.warnings[0], Catch::Contains(reason));
}

}  // namespace

TEST_CASE("checkpoint: everything comes back bit for bit") {
  const TemporaryFolder run;
  save(run.path(), 12000, 0.25);
  CHECK(names_in(run / "checkpoints/step-000012000") ==
        std::vector<std::string>{"checkpoint.h5", "part-000.h5"});
  const auto found = find_checkpoint(run.path(), "last", no_warning);
  REQUIRE(found);
  CHECK(holds_state_of(*found, 12000));
  CHECK_FALSE(holds_state_of(*found, 12001));
  const CheckpointInfo expected = info_of(12000);
  CHECK(found->info.step == 12000);
  CHECK(found->info.epoch == 1200);
  CHECK(found->info.position == 3072000);
  CHECK(found->info.seed == 7);
  CHECK(found->info.draws_by_sample);
  CHECK(found->info.batches == BatchTable::constant({256}));  // not stored: of an earlier version
  CHECK(found->info.streams.empty());
  CHECK_FALSE(found->info.finished);
  CHECK(found->info.score == 0.25);
  CHECK(found->info.configuration == expected.configuration);
  CHECK(found->info.environment == expected.environment);
  CHECK(found->info.data == expected.data);
  CHECK(found->info.metrics.step == expected.metrics.step);
  CHECK(json_line(found->info.metrics, 0) == "{\"step\":11999,\"loss\":0.1}\n");
  CHECK(json_line(found->info.metrics, 1) == "{\"step\":12000,\"loss\":0.2,\"lr\":1e-300}\n");
}

TEST_CASE("checkpoint: equal contents give equal files") {
  const TemporaryFolder a, b;
  save(a.path(), 10);
  ::usleep(1100000);  // HDF5 would store times in seconds
  save(b.path(), 10);
  for (const std::string name : {"part-000.h5", "checkpoint.h5"})
    CHECK((content_of(checkpoint_folder(a.path(), 10) / name) ==
           content_of(checkpoint_folder(b.path(), 10) / name)));
}

TEST_CASE("checkpoint: HDF5 reads every tensor through the manifest alone") {
  const TemporaryFolder run;
  save(run.path(), 10);
  const auto file = hdf5::File::open((run / "checkpoints/step-000000010/checkpoint.h5").string());
  CHECK(file.integer("step") == 10);
  for (const auto& tensor : SmallState(10).tensors) {
    std::string path = "/state/" + tensor.name;
    std::replace(path.begin(), path.end(), '.', '/');
    const HostTensor read = file.dataset(path).read();
    CHECK(read.dtype() == tensor.dtype);
    CHECK(read.shape() == tensor.shape);
    REQUIRE(read.bytes() == tensor.bytes.size());
    CHECK((read.bytes() == 0 || std::memcmp(read.data(), tensor.bytes.data(), read.bytes()) == 0));
  }
}

TEST_CASE("checkpoint: after a crash at any point of writing the one before it is used") {
  // The states through which the folder goes, in order; what is there may be torn after a power
  // cut.
  const auto to_temporary = [](const fs::path& file) { fs::rename(file, file.string() + ".tmp"); };
  SECTION("folder made") {
    expect_fallback(
        [](const fs::path& second) {
          fs::remove_all(second);
          fs::create_directories(second);
        },
        "incomplete");
  }
  SECTION("part begun") {
    expect_fallback(
        [&](const fs::path& second) {
          fs::remove(second / "checkpoint.h5");
          fs::resize_file(second / "part-000.h5", 1000);
          to_temporary(second / "part-000.h5");
        },
        "incomplete");
  }
  SECTION("part written") {
    expect_fallback(
        [&](const fs::path& second) {
          fs::remove(second / "checkpoint.h5");
          to_temporary(second / "part-000.h5");
        },
        "incomplete");
  }
  SECTION("part renamed") {
    expect_fallback([](const fs::path& second) { fs::remove(second / "checkpoint.h5"); },
                    "incomplete");
  }
  SECTION("manifest written") {
    expect_fallback([&](const fs::path& second) { to_temporary(second / "checkpoint.h5"); },
                    "incomplete");
  }
  SECTION("manifest renamed and its bytes lost") {
    expect_fallback([](const fs::path& second) { overwrite(second / "checkpoint.h5", ""); },
                    "damaged");
  }
  SECTION("part lost though the manifest is there") {
    expect_fallback([](const fs::path& second) { fs::remove(second / "part-000.h5"); }, "missing");
  }
  SECTION("superseded and partly removed") {
    expect_fallback(
        [](const fs::path& second) {
          fs::remove(second / "checkpoint.h5");
          fs::remove(second / "part-000.h5");
        },
        "incomplete");
  }
}

TEST_CASE("checkpoint: no truncation and no flipped bit goes unnoticed") {
  const TemporaryFolder run;
  save(run.path(), 10);
  const fs::path folder = checkpoint_folder(run.path(), 10);
  const Draws draws(1, Purpose::test, 3);
  uint32_t draw = 0;
  for (const std::string name : {"part-000.h5", "checkpoint.h5"}) {
    const std::string good = content_of(folder / name);
    const auto used = [&] { return find_checkpoint(run.path(), "last", [](auto&) {}).has_value(); };
    REQUIRE(used());
    std::vector<size_t> lengths{0, 1, 511, 512, 513, good.size() - 1};
    while (lengths.size() < 30) lengths.push_back(draws.below(draw++, good.size()));
    for (const size_t length : lengths) {
      overwrite(folder / name, good.substr(0, length));
      INFO(name << " cut to " << length);
      CHECK_FALSE(used());
    }
    overwrite(folder / name, good + '\0');
    CHECK_FALSE(used());
    for (int i = 0; i < 200; ++i) {
      std::string bad = good;
      // Half of them in the front, where the headers are.
      const size_t at = draws.below(draw++, i % 2 ? good.size() : 4096);
      bad[at] = static_cast<char>(bad[at] ^ (1 << draws.below(draw++, 8)));
      overwrite(folder / name, bad);
      INFO(name << " changed at " << at);
      CHECK_FALSE(used());
    }
    overwrite(folder / name, good);
    REQUIRE(used());
  }
}

TEST_CASE("checkpoint: a part of another checkpoint is noticed") {
  expect_fallback(
      [](const fs::path& second) {
        fs::copy_file(second.parent_path() / "step-000000010/part-000.h5", second / "part-000.h5",
                      fs::copy_options::overwrite_existing);
      },
      "CRC-32");
}

TEST_CASE("checkpoint: a run whose only checkpoint was being written begins anew") {
  const TemporaryFolder run;
  save(run.path(), 10);
  fs::remove(checkpoint_folder(run.path(), 10) / "checkpoint.h5");
  const Continued continued = continue_run(run.path());
  CHECK(continued.step == 0);
  CHECK(continued.warnings.size() == 1);
  CHECK_FALSE(find_checkpoint(run.path(), "last", [](auto&) {}));
}

TEST_CASE("checkpoint: one that cannot be read is not taken for a damaged one") {
  const TemporaryFolder run;
  save(run.path(), 10, 0.5);
  save(run.path(), 20, 0.25);
  const std::string which = GENERATE("last", "best");
  const fs::path newest = checkpoint_folder(run.path(), 20), whole = run.path() / "whole";
  const auto stays_readable = [&](const fs::path& path) {
    fs::rename(path, whole);
    fs::create_symlink(path.filename(),
                       path);  // one that leads to itself: root cannot read it either
    CHECK_THROWS_WITH(find_checkpoint(run.path(), which, no_warning),
                      Catch::StartsWith("cannot read " + path.string()) &&
                          Catch::Contains("; make it readable, then start the same command again"));
    if (path.filename() != "part-000.h5")
      CHECK_THROWS_AS(CheckpointWriter(run.path(), {}, 20), Unreadable);
    fs::remove(path);
    fs::rename(whole, path);
  };
  stays_readable(newest / "part-000.h5");
  stays_readable(newest / "checkpoint.h5");
  stays_readable(run.path() / "checkpoints");
  CHECK(names_in(run / "checkpoints").size() == 2);
  CHECK(find_checkpoint(run.path(), "last", no_warning).value().info.step == 20);
}

TEST_CASE("checkpoint: a continued run clears what lies behind and what is incomplete") {
  const TemporaryFolder run;
  for (const int64_t step : {10, 20, 30, 40}) save(run.path(), step);
  fs::remove(checkpoint_folder(run.path(), 10) / "checkpoint.h5");
  fs::resize_file(checkpoint_folder(run.path(), 30) / "part-000.h5", 5000);
  fs::remove(checkpoint_folder(run.path(), 40) / "checkpoint.h5");
  REQUIRE(continue_run(run.path()).step == 20);
  CheckpointWriter writer(run.path(), {}, 20);
  CHECK(names_in(run / "checkpoints") ==
        std::vector<std::string>{"step-000000020", "unusable-step-000000030"});
  writer.start(info_of(30), SmallState(30).named());
  writer.wait();
  CHECK(continue_run(run.path()).step == 30);
  CHECK(continue_run(run.path()).warnings.empty());
  // The same once more.
  fs::resize_file(checkpoint_folder(run.path(), 30) / "part-000.h5", 6000);
  CheckpointWriter(run.path(), {}, 20);
  CHECK(names_in(run / "checkpoints") == std::vector<std::string>{"step-000000020",
                                                                  "unusable-step-000000030",
                                                                  "unusable-step-000000030.1"});
}

TEST_CASE("checkpoint: the last ones and the best one are kept") {
  const TemporaryFolder run;
  const auto write = [&](CheckpointWriter& writer, int64_t step, std::optional<double> score) {
    CheckpointInfo info = info_of(step);
    info.score = score;
    writer.start(info, SmallState(static_cast<uint64_t>(step)).named());
    writer.wait();
  };
  {
    CheckpointWriter writer(run.path(), {.last = 2});
    write(writer, 10, 5.0);
    write(writer, 20, 3.0);
    write(writer, 30, 4.0);
  }
  {
    CheckpointWriter writer(run.path(), {.last = 2}, 30);  // learns the scores from the files
    write(writer, 40, std::nullopt);
    write(writer, 50, 3.5);
  }
  CHECK(names_in(run / "checkpoints") ==
        std::vector<std::string>{"step-000000020", "step-000000040", "step-000000050"});
  CHECK(find_checkpoint(run.path(), "best", no_warning).value().info.step == 20);
  CHECK(find_checkpoint(run.path(), "last", no_warning).value().info.step == 50);
  CHECK(find_checkpoint(run.path(), "40", no_warning).value().info.step == 40);
  CHECK_THROWS_WITH(find_checkpoint(run.path(), "30", no_warning),
                    run.path().string() + " has no checkpoint of step 30; it has 20, 40, 50");
  CHECK_THROWS_WITH(find_checkpoint(run.path(), "lst", no_warning),
                    "a checkpoint is chosen by last, best or a step, not by 'lst'");
  // The best is damaged: the next best one.
  fs::resize_file(checkpoint_folder(run.path(), 20) / "part-000.h5", 5000);
  CHECK(find_checkpoint(run.path(), "best", [](auto&) {}).value().info.step == 50);
}

TEST_CASE("checkpoint: another network is refused with both values and nothing is loaded") {
  const TemporaryFolder run;
  save(run.path(), 10);
  const auto checkpoint = find_checkpoint(run.path(), "last", no_warning).value();
  const std::string start = "checkpoint " + checkpoint.folder.string() + " is of another network: ";
  const std::string end = "; use the configuration that it was made with, or another checkpoint";
  SmallState state(0);
  const auto refuses = [&](const std::vector<TensorTarget>& targets, const std::string& message) {
    CHECK_THROWS_WITH(load_tensors(checkpoint, targets, Match::all), start + message + end);
    for (const auto& each : state.tensors)
      CHECK(std::all_of(each.bytes.begin(), each.bytes.end(), [](uint8_t b) { return b == 0xee; }));
  };
  auto targets = state.targets();
  targets.back().shape = {8, 3, 3, 6};
  refuses(
      targets,
      "optimizer.momentum.encoder.conv1.weight is float32 [16, 3, 3, 3] there and float32 [8, 3, "
      "3, 6] here");
  targets = state.targets();
  targets[0].dtype = DType::i32;
  targets[1].name = "encoder.layer2.0.conv1.weight";
  refuses(targets,
          "encoder.conv1.weight is float32 [16, 3, 3, 3] there and int32 [16, 3, 3, 3] here, and 2 "
          "more differ");
  targets = state.targets();
  targets.pop_back();
  refuses(targets,
          "optimizer.momentum.encoder.conv1.weight is float32 [16, 3, 3, 3] there and absent here");
  load_tensors(checkpoint, targets, Match::subset);
  CHECK(state.tensors[0].bytes == SmallState(10).tensors[0].bytes);
}

TEST_CASE("checkpoint: the snapshot is taken before start returns") {
  const TemporaryFolder run;
  CheckpointWriter writer(run.path(), {});
  SmallState state(10);
  writer.start(info_of(10), state.named());
  for (auto& each : state.tensors) std::fill(each.bytes.begin(), each.bytes.end(), uint8_t{0});
  writer.wait();
  CHECK(holds_state_of(find_checkpoint(run.path(), "last", no_warning).value(), 10));
}

TEST_CASE("checkpoint: a full disk is reported by its status and leaves the one before intact") {
  // A limit on the size of files gives EFBIG where a full disk gives ENOSPC; in a child, so that
  // the limit ends with it.
  const TemporaryFolder run;
  save(run.path(), 10);
  const auto part_bytes = fs::file_size(checkpoint_folder(run.path(), 10) / "part-000.h5");
  const auto manifest_bytes = fs::file_size(checkpoint_folder(run.path(), 10) / "checkpoint.h5");
  REQUIRE(manifest_bytes < part_bytes);
  for (const auto limit : {uintmax_t{0}, uintmax_t{4096}, manifest_bytes - 1, part_bytes - 1}) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit none{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &none);
      int status = 100;
      CheckpointWriter writer(run.path(), {.last = 1}, 10);
      try {
        writer.start(info_of(20), SmallState(20).named());
        writer.wait();
      } catch (const Error& error) {
        status = static_cast<int>(error.status());
      }
      ::_exit(status);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == static_cast<int>(ExitStatus::no_space));
    CHECK(names_in(run / "checkpoints") == std::vector<std::string>{"step-000000010"});
    CHECK(continue_run(run.path()).step == 10);
    CHECK(continue_run(run.path()).warnings.empty());
  }
}

TEST_CASE("checkpoint: a run killed at random instants always continues") {
  const TemporaryFolder run;
  const Draws draws(2, Purpose::test, 5);
  int64_t reached = 0;
  int within_writing = 0;
  for (uint32_t kill = 0; kill < 20; ++kill) {
    int report[2];
    REQUIRE(::pipe(report) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      CheckpointWriter writer(run.path(), {.last = 2}, reached);
      for (int64_t step = reached + 1;; ++step) {
        const auto begin = std::chrono::steady_clock::now();
        writer.start(info_of(step), SmallState(static_cast<uint64_t>(step)).named());
        writer.wait();
        const int64_t took = (std::chrono::steady_clock::now() - begin) / 1us;
        if (step == reached + 1 && ::write(report[1], &took, sizeof took) < 0) ::_exit(1);
      }
    }
    ::close(report[1]);
    int64_t took = 0;  // of the first checkpoint, which is complete when this comes
    REQUIRE(::read(report[0], &took, sizeof took) == sizeof took);
    ::close(report[0]);
    ::usleep(static_cast<useconds_t>(2 * draws.uniform(kill) * static_cast<double>(took)));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const Continued continued = continue_run(run.path());
    CHECK(continued.step > reached);
    CHECK(continued.warnings.size() <= 1);
    within_writing += !continued.warnings.empty();
    reached = continued.step;
  }
  CHECK(within_writing > 0);
}

TEST_CASE("checkpoint: an error of writing comes out at the next start and then writing goes on") {
  const TemporaryFolder run;
  CheckpointWriter writer(run.path(), {});
  overwrite(run / "checkpoints", "a file where the folder should be");
  writer.start(info_of(10), SmallState(10).named());
  CHECK_THROWS_WITH(writer.start(info_of(20), SmallState(20).named()),
                    Catch::Contains("checkpoints/step-000000010"));
  fs::remove(run / "checkpoints");
  writer.start(info_of(30), SmallState(30).named());
  writer.wait();
  CHECK(continue_run(run.path()).step == 30);
}

TEST_CASE("checkpoint: what differs between two environments is said in one line") {
  const Environment then{"0.1.0", "Open MPI 4.1.4", "1.10.8", "2.6", 2,
                         3,       "cpu device",     "avx512", "f32"};
  CHECK(environment_differences(then, then).empty());
  Environment now = then;
  now.ranks = 4;
  now.instruction_set = "avx2";
  CHECK(environment_differences(then, now) ==
        "the number of ranks was 2 and is 4, the instruction set was avx512 and is avx2");
}

TEST_CASE("checkpoint: several parts make one checkpoint") {
  const TemporaryFolder run;
  const fs::path folder = checkpoint_folder(run.path(), 10);
  fs::create_directories(folder);
  const SmallState state(10);
  const auto tensors = state.named();
  const std::span<const NamedTensor> all(tensors);
  const std::vector<StoredPart> parts{write_part(folder, 0, info_of(10), all.first(3)),
                                      write_part(folder, 1, info_of(10), all.subspan(3))};
  write_manifest(folder, info_of(10), parts);
  CHECK(names_in(folder) ==
        std::vector<std::string>{"checkpoint.h5", "part-000.h5", "part-001.h5"});
  CHECK(continue_run(run.path()).step == 10);
  fs::remove(folder / "part-001.h5");
  CHECK(continue_run(run.path()).step == 0);
}

TEST_CASE("checkpoint: numbers that cannot be are refused under a right checksum") {
  const TemporaryFolder run;
  const fs::path folder = checkpoint_folder(run.path(), 10);
  fs::create_directories(folder);
  const SmallState state(10);
  const StoredPart part = write_part(folder, 0, info_of(10), state.named());
  // Whether such a manifest is read.
  const auto read = [&](const auto& change) {
    CheckpointInfo info = info_of(10);
    StoredPart changed = part;
    change(info, changed);
    write_manifest(folder, info, {&changed, 1});
    try {
      read_checkpoint(folder);
      return true;
    } catch (const Error& error) {
      CHECK(error.status() == ExitStatus::bad_input);
      return false;
    }
  };
  using Info = CheckpointInfo;
  constexpr int64_t far = int64_t{1} << 40;
  CHECK(read([](Info&, StoredPart&) {}));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.step = -1; }));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.position = -1; }));
  CHECK(read([](Info& info, StoredPart&) { info.batches = BatchTable::constant({256}); }));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.batches = BatchTable::constant({255}); }));
  CHECK_FALSE(read([](Info& info, StoredPart&) {
    info.batches = BatchTable::constant({256});
    info.position += 1;
  }));
  CHECK_FALSE(read([](Info& info, StoredPart&) {  // from a step on that is not done
    info.batches = BatchTable::constant({256});
    info.batches.change(11, {4});
  }));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.metrics.step.back() = far; }));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.metrics.step.front() = 10; }));
  CHECK_FALSE(read([](Info& info, StoredPart&) { info.metrics.columns[0].value.pop_back(); }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.bytes = -1; }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.tensors[0].offset = -1; }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.tensors[0].offset = one.bytes; }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.tensors[0].part = 7; }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.tensors[0].shape = {far, far}; }));
  CHECK_FALSE(read([](Info&, StoredPart& one) { one.tensors[0].shape = {-2, -72}; }));
}

TEST_CASE("durable file: checksums are those of zlib and join") {
  CHECK(crc32_of("123456789", 9) == 0xcbf43926u);  // the published check value of CRC-32
  CHECK(crc32_joined(crc32_of("12345", 5), crc32_of("6789", 4), 4) == 0xcbf43926u);
  CHECK(crc32_of(nullptr, 0, 5) == 5);
}
