#include "run/checkpoint.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "io/durable_file.h"
#include "run/checkpoint_folders.h"

namespace lacuna {

namespace fs = std::filesystem;

namespace {

size_t bytes_of(const NamedTensor& tensor) {
  return static_cast<size_t>(tensor.shape.count()) * size_of(tensor.dtype);
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path run, Keep keep, int64_t continued_from)
    : run_(std::move(run)), keep_(keep) {
  LACUNA_CHECK(keep_.last >= 1);
  clear_behind(continued_from);
  for (const int64_t step : checkpoint_steps(run_)) {
    try {
      kept_.push_back({step, read_checkpoint(checkpoint_folder(run_, step)).info.score});
    } catch (const Unreadable&) {
      throw;
    } catch (const Error&) {
      kept_.push_back({step, std::nullopt});  // damaged: counts as old, and goes in its turn
    }
  }
}

CheckpointWriter::~CheckpointWriter() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::clear_behind(int64_t continued_from) {
  for (const int64_t step : checkpoint_steps(run_)) {
    const fs::path folder = checkpoint_folder(run_, step);
    if (!is_there(folder / manifest_name))
      remove_checkpoint(folder);
    else if (step > continued_from)
      set_aside_checkpoint(run_, step);
  }
}

void CheckpointWriter::take_snapshot(std::span<const NamedTensor> tensors) {
  constexpr size_t alignment = 64;
  const auto place = [](const NamedTensor& each) {
    return (bytes_of(each) + alignment - 1) / alignment * alignment;
  };
  size_t bytes = 0;
  for (const NamedTensor& each : tensors) bytes += place(each);
  Device* device = nullptr;
  for (const NamedTensor& each : tensors)
    if (each.device != nullptr) device = each.device;
  if (snapshot_ == nullptr) {
    snapshot_ = device == nullptr ? immediate_downloads(nullptr) : device->make_downloads();
  }
  auto* at = static_cast<std::byte*>(snapshot_->memory(bytes));
  tensors_.assign(tensors.begin(), tensors.end());
  for (NamedTensor& each : tensors_) {
    LACUNA_CHECK(each.device == device || each.device == nullptr, each.name);
    if (each.device != nullptr)
      snapshot_->fetch(at, each.data, bytes_of(each));
    else if (bytes_of(each) > 0)
      std::memcpy(at, each.data, bytes_of(each));
    each.data = at;
    each.device = nullptr;
    at += place(each);
  }
}

void CheckpointWriter::start(CheckpointInfo info, std::span<const NamedTensor> tensors) {
  wait();
  LACUNA_CHECK(kept_.empty() || info.step > kept_.back().step, "checkpoint of step ", info.step,
               " after that of ", kept_.empty() ? 0 : kept_.back().step);
  take_snapshot(tensors);
  thread_ = std::thread([this, info = std::move(info)] {
    try {
      const auto begun = std::chrono::steady_clock::now();
      snapshot_->wait();
      write(info);
      seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void CheckpointWriter::write(const CheckpointInfo& info) {
  const fs::path folder = checkpoint_folder(run_, info.step);
  make_folders(folder);
  try {
    const StoredPart part = write_part(folder, 0, info, tensors_);
    write_manifest(folder, info, std::span(&part, 1));
  } catch (...) {
    remove_checkpoint(folder);
    throw;
  }
  kept_.push_back({info.step, info.score});
  remove_superseded();
}

void CheckpointWriter::remove_superseded() {
  const auto best = std::min_element(kept_.begin(), kept_.end(), [](const Kept& a, const Kept& b) {
    return a.score && (!b.score || *a.score < *b.score);
  });
  const int64_t best_step = keep_.best && best->score ? best->step : -1;
  const auto surplus = static_cast<int64_t>(kept_.size()) - keep_.last;
  std::vector<Kept> remaining;
  for (size_t i = 0; i < kept_.size(); ++i) {
    if (static_cast<int64_t>(i) < surplus && kept_[i].step != best_step)
      remove_checkpoint(checkpoint_folder(run_, kept_[i].step));
    else
      remaining.push_back(kept_[i]);
  }
  kept_ = std::move(remaining);
}

}  // namespace lacuna
