#include "run/representations.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "support/temporary_folder.h"

using namespace lacuna;
namespace fs = std::filesystem;

namespace {

constexpr int64_t samples = 1000, features = 24;

RepresentationsOrigin origin() {
  return {.run = "runs/x",
          .step = 12000,
          .checkpoint = "5ac1",
          .weights = "student",
          .layer = "encoder",
          .dataset = "/images",
          .data_hash = "3f2a",
          .code_version = "0.1.0",
          .configuration = "[train]\nepochs = 10\n"};
}

struct Values {
  std::vector<float> z = std::vector<float>(samples * features);
  std::vector<int32_t> file = std::vector<int32_t>(samples);
  std::vector<int64_t> row = std::vector<int64_t>(samples);
  std::vector<int64_t> label = std::vector<int64_t>(samples);
  std::vector<double> energy = std::vector<double>(samples * 2);
  Values() {
    std::iota(z.begin(), z.end(), 0.5f);
    std::iota(energy.begin(), energy.end(), 0.25);
    for (size_t i = 0; i < samples; ++i) {
      file[i] = i < 600 ? 0 : 1;
      row[i] = static_cast<int64_t>(i < 600 ? i : i - 600);
      label[i] = static_cast<int64_t>(i % 10) - 1;
    }
  }
};

RepresentationsLayout layout() {
  RepresentationsLayout all;
  all.samples = samples;
  all.z = {features};
  all.files = {"/data/a.h5", "/data/b.h5"};
  all.columns = {{"label", DType::i64, {}}, {"copied/energy", DType::f64, {2}}};
  all.add_texts = [](hdf5::Group& root) {
    root.create_texts("/copied/id", std::vector<std::string>{"first", "zweite über"});
  };
  return all;
}

// Pieces of uneven length, the last ones first, as ranks may deliver them.
void write_all(RepresentationsWriter& writer, const Values& values) {
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{700, 300}, {0, 1}, {1, 699}}) {
    writer.write("z", first, count, values.z.data() + first * features);
    writer.write("file", first, count, values.file.data() + first);
    writer.write("row", first, count, values.row.data() + first);
    writer.write("label", first, count, values.label.data() + first);
    writer.write("copied/energy", first, count, values.energy.data() + first * 2);
  }
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& each : fs::directory_iterator(folder))
    names.push_back(each.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("representations: rows written in any order come back in data set order") {
  const TemporaryFolder folder;
  const Values values;
  RepresentationsWriter writer(folder / "z.h5", layout(), origin());
  write_all(writer, values);
  CHECK_FALSE(fs::exists(folder / "z.h5"));
  writer.finish();
  CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5"});

  const Representations read = read_representations(folder / "z.h5");
  CHECK(read.z.shape() == Shape{samples, features});
  CHECK(std::memcmp(read.z.data(), values.z.data(), read.z.bytes()) == 0);
  CHECK(read.label == values.label);
  CHECK(read.files == std::vector<std::string>{"/data/a.h5", "/data/b.h5"});
  CHECK(read.file == values.file);
  CHECK(read.row == values.row);
  REQUIRE(read.origin);
  CHECK(read.origin->run == "runs/x");
  CHECK(read.origin->step == 12000);
  CHECK(read.origin->checkpoint == "5ac1");
  CHECK(read.origin->weights == "student");
  CHECK(read.origin->layer == "encoder");
  CHECK(read.origin->dataset == "/images");
  CHECK(read.origin->data_hash == "3f2a");
  CHECK(read.origin->code_version == "0.1.0");
  CHECK(read.origin->configuration == origin().configuration);

  const auto file = hdf5::File::open((folder / "z.h5").string());
  CHECK(file.dataset("/z").text("axes") == "sample, feature");
  const HostTensor energy = file.dataset("/copied/energy").read();
  CHECK(energy.shape() == Shape{samples, 2});
  CHECK(std::memcmp(energy.data(), values.energy.data(), energy.bytes()) == 0);
  CHECK(file.dataset("/copied/id").read_texts(0, 2) ==
        std::vector<std::string>{"first", "zweite über"});
}

TEST_CASE("representations: an unfinished file leaves nothing") {
  const TemporaryFolder folder;
  {
    RepresentationsWriter writer(folder / "z.h5", layout(), origin());
    writer.write("row", 0, 10, Values().row.data());
    CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5.tmp"});
  }
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("representations: a file goes on where its progress was saved if all is the same") {
  const TemporaryFolder folder;
  const Values values;
  const fs::path path = folder / "z.h5";
  // As a killed process leaves it: rows up to `rows`, and more that its progress does not tell of.
  const auto begin = [&](int64_t rows) {
    RepresentationsWriter writer(path, layout(), origin(), false, "a");
    for (const int64_t count : {rows, rows + 7}) {
      writer.write("z", 0, count, values.z.data());
      writer.write("file", 0, count, values.file.data());
      if (count == rows) writer.save_progress(concat("rows ", rows));
    }
  };
  begin(400);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5.partial", "z.h5.progress"});
  {
    RepresentationsWriter writer(path, layout(), origin(), false, "a");
    CHECK(writer.leftover().progress == "rows 400");
    CHECK_FALSE(writer.leftover().discarded);
  }  // one that ends early once more
  {
    RepresentationsWriter writer(path, layout(), origin(), false, "a");
    REQUIRE(writer.leftover().progress == "rows 400");
    writer.count_written(400);
    writer.write("z", 400, 600, values.z.data() + 400 * features);
    writer.write("file", 400, 600, values.file.data() + 400);
    writer.write("row", 400, 600, values.row.data() + 400);
    writer.write("label", 400, 600, values.label.data() + 400);
    writer.write("copied/energy", 400, 600, values.energy.data() + 800);
    writer.finish();
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5"});
  const Representations read = read_representations(path);
  CHECK(std::memcmp(read.z.data(), values.z.data(), read.z.bytes()) == 0);
  CHECK(read.file == values.file);
  fs::remove(path);

  const auto begins_anew = [&](const std::string& identity, const RepresentationsLayout& of,
                               const RepresentationsOrigin& from) {
    begin(400);
    const RepresentationsWriter writer(path, of, from, false, identity);
    return !writer.leftover().progress && writer.leftover().discarded;
  };
  CHECK_FALSE(begins_anew("a", layout(), origin()));
  begin(400);
  const std::string saved = content_of(folder / "z.h5.progress");
  REQUIRE(saved.find("rows 400\n") != std::string::npos);
  std::string changed = saved;
  changed.replace(changed.find("rows 400"), 8, "rows 900");
  for (const std::string& damaged : {std::string("rubbish"), std::string("\n\n"), changed}) {
    begin(400);
    overwrite(folder / "z.h5.progress", damaged);
    const RepresentationsWriter writer(path, layout(), origin(), false, "a");
    CHECK_FALSE(writer.leftover().progress);
    CHECK(writer.leftover().discarded);
  }
  CHECK(begins_anew("b", layout(), origin()));
  RepresentationsOrigin other = origin();
  other.step = 12001;
  CHECK(begins_anew("a", layout(), other));
  RepresentationsLayout more = layout();
  more.samples += 1;
  CHECK(begins_anew("a", more, origin()));
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("representations: what exists is refused or moved aside when the new file is complete") {
  const TemporaryFolder folder;
  overwrite(folder / "z.h5", "old");
  const std::string message =
      (folder / "z.h5").string() +
      " exists: give another name with --out, or --force to move the old one "
      "aside";
  CHECK_THROWS_WITH(RepresentationsWriter(folder / "z.h5", layout(), origin()), message);
  { RepresentationsWriter unfinished(folder / "z.h5", layout(), origin(), true); }
  CHECK(content_of(folder / "z.h5") == "old");
  RepresentationsWriter writer(folder / "z.h5", layout(), origin(), true);
  write_all(writer, Values());
  writer.finish();
  CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5", "z.h5.1"});
  CHECK(content_of(folder / "z.h5.1") == "old");
  CHECK(read_representations(folder / "z.h5").z.shape() == Shape{samples, features});
  // A file that appeared while this one was written.
  RepresentationsWriter late(folder / "y.h5", layout(), origin());
  write_all(late, Values());
  overwrite(folder / "y.h5", "of somebody else");
  CHECK_THROWS_WITH(late.finish(), Catch::Contains("y.h5 exists"));
  CHECK(content_of(folder / "y.h5") == "of somebody else");
}

TEST_CASE("representations: what is whole is known by its layout and origin") {
  const TemporaryFolder folder;
  const auto path = folder / "z.h5";
  RepresentationsWriter writer(path, layout(), origin(), false, "a");
  CHECK_FALSE(writer.leftover().whole);
  write_all(writer, Values());
  writer.finish();
  const std::string written = content_of(path);
  CHECK(RepresentationsWriter(path, layout(), origin(), false, "a").leftover().whole);
  CHECK(content_of(path) == written);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"z.h5"});
  const auto refused = [&](const RepresentationsLayout& of, const RepresentationsOrigin& from,
                           const std::string& identity = "a") {
    CHECK_THROWS_WITH(RepresentationsWriter(path, of, from, false, identity),
                      Catch::Contains("z.h5 exists"));
  };
  refused(layout(), origin(), "b");
  RepresentationsOrigin other = origin();
  other.checkpoint = "5ac2";
  refused(layout(), other);
  RepresentationsLayout more = layout();
  more.samples += 1;
  refused(more, origin());
  overwrite(path, written.substr(0, written.size() - 1));
  refused(layout(), origin());
  CHECK_THROWS_WITH(RepresentationsWriter(path, layout(), origin()),
                    Catch::Contains("z.h5 exists"));
  fs::remove(path);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // nobody writes into it
  refused(layout(), origin());
}

TEST_CASE("representations: places that cannot be written are named") {
  const TemporaryFolder folder;
  const auto path = folder / "absent/z.h5";
  CHECK_THROWS_WITH(RepresentationsWriter(path, layout(), origin()),
                    "cannot write " + path.string() +
                        ": No such file or directory; check its name and the folders above it");
}

TEST_CASE("representations: a full disk has its own status and leaves nothing") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50000, 50000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int status = 100;
    try {
      RepresentationsWriter writer(folder / "z.h5", layout(), origin());
      write_all(writer, Values());
      writer.finish();
    } catch (const Error& error) {
      status = static_cast<int>(error.status());
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == static_cast<int>(ExitStatus::no_space));
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("representations: laying out a large file takes no memory") {
  // 64 GB of z that nobody writes; texts and files lie in front of it.
  const TemporaryFolder folder;
  const auto peak_kib = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  RepresentationsLayout large = layout();
  large.samples = int64_t{1} << 24;
  large.z = {1024};
  large.files.assign(5000, "/data/of/a/user/with/long/names/of/files.h5");
  large.add_texts = [](hdf5::Group& root) {
    root.create_texts("/copied/id", std::vector<std::string>(20000, "text of a user"));
  };
  const auto before = peak_kib();
  {
    const RepresentationsWriter writer(folder / "z.h5", large, origin());
    CHECK(fs::file_size(folder / "z.h5.tmp") > uint64_t{1} << 36);
  }
  CHECK(peak_kib() - before < 200 << 10);
}

TEST_CASE("representations: files of other programs are read and wrong ones refused") {
  const TemporaryFolder folder;
  const std::string path = (folder / "z.h5").string();
  const auto create = [&](const Shape& z, std::optional<Shape> label) {
    auto file = hdf5::File::create(path);
    const std::vector<double> numbers(100, 1.5);
    file.create_dataset("/z", DType::f64, z).write(numbers.data(), DType::f64);
    if (label) file.create_dataset("/label", DType::u8, *label).write(numbers.data(), DType::f64);
    file.close();
  };
  create({5, 4}, Shape{5});
  const Representations read = read_representations(path);
  CHECK(read.z.as<float>()[19] == 1.5f);
  CHECK(read.label == std::vector<int64_t>(5, 1));
  CHECK(read.files.empty());
  CHECK_FALSE(read.origin);
  create({5, 4}, std::nullopt);
  CHECK_FALSE(read_representations(path).label);
  create({5, 2, 2}, std::nullopt);  // of a dense output
  CHECK(read_representations(path).z.shape() == Shape{5, 2, 2});
  create({5}, std::nullopt);
  CHECK_THROWS_WITH(read_representations(path), Catch::Contains("has the shape [5]"));
  create({5, 4}, Shape{4});
  CHECK_THROWS_WITH(read_representations(path),
                    "/label in " + path + " has the shape [4] beside 5 rows of /z");
}
