// The index of a data set as text, for the way from rank 0 to the others.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "data/files/dataset.h"

namespace lacuna {

namespace {

// Numbers and texts, one behind the other, for the way from rank 0 to the others.
class Packer {
 public:
  void number(int64_t value) { text_.append(reinterpret_cast<const char*>(&value), sizeof(value)); }
  void real(double value) { number(std::bit_cast<int64_t>(value)); }
  void text(const std::string& value) {
    number(static_cast<int64_t>(value.size()));
    text_ += value;
  }
  void shape(const Shape& shape) {
    number(shape.rank());
    for (const int64_t size : shape.sizes()) number(size);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

class Unpacker {
 public:
  explicit Unpacker(const std::string& text) : text_(text) {}
  int64_t number() {
    int64_t value;
    LACUNA_CHECK(at_ + sizeof(value) <= text_.size());
    std::memcpy(&value, text_.data() + at_, sizeof(value));
    at_ += sizeof(value);
    return value;
  }
  double real() { return std::bit_cast<double>(number()); }
  std::string text() {
    const auto size = static_cast<size_t>(number());
    at_ += size;
    return text_.substr(at_ - size, size);
  }
  Shape shape() {
    std::vector<int64_t> sizes(static_cast<size_t>(number()));
    for (int64_t& size : sizes) size = number();
    return Shape(std::span<const int64_t>(sizes));
  }

 private:
  const std::string& text_;
  size_t at_ = 0;
};

void pack_meaning(const FieldStorage& storage, Packer& pack) {
  const NumberMeaning& meaning = storage.meaning;
  pack.number(static_cast<int64_t>(storage.dtype));
  pack.number(storage.complex);
  pack.number(meaning.in_double);
  for (const double value : {meaning.scale, meaning.offset, meaning.low, meaning.high})
    pack.real(value);
  pack.number(static_cast<int64_t>(meaning.missing.size()));
  for (const double value : meaning.missing) pack.real(value);
}

void unpack_meaning(FieldStorage& storage, Unpacker& unpack) {
  NumberMeaning& meaning = storage.meaning;
  storage.dtype = static_cast<DType>(unpack.number());
  storage.complex = unpack.number() != 0;
  meaning.in_double = unpack.number() != 0;
  for (double* value : {&meaning.scale, &meaning.offset, &meaning.low, &meaning.high})
    *value = unpack.real();
  meaning.missing.resize(static_cast<size_t>(unpack.number()));
  for (double& value : meaning.missing) value = unpack.real();
}

}  // namespace

std::string Dataset::packed() const {
  Packer pack;
  for (const int64_t value : {samples_, blocks_, int64_t{main_field_}}) pack.number(value);
  pack.number(static_cast<int64_t>(fields_.size()));
  for (const Field& field : fields_) {
    pack.text(field.name);
    pack.text(field.path);
    pack.number(static_cast<int64_t>(field.dtype));
    pack.shape(field.shape);
    pack.number(field.row_axes);
    pack.number(field.per_series);
    pack.number(static_cast<int64_t>(field.lists.size()));
    for (const int64_t length : field.lists) pack.number(length);
    pack.text(field.type);
    pack.text(field.units);
    pack.number(field.type_range.has_value());
    if (field.type_range)
      for (const double limit : *field.type_range) pack.real(limit);
    for (const bool flag : {field.complex, field.scaled, field.has_missing, field.may_miss})
      pack.number(flag);
  }
  pack.number(static_cast<int64_t>(files_.size()));
  for (const DataFile& file : files_) {
    pack.text(file.path);
    for (const int64_t value :
         {file.first, file.samples(), file.places.rows(), file.first_block, file.block_samples,
          static_cast<int64_t>(file.user_block), static_cast<int64_t>(file.bytes), file.modified,
          static_cast<int64_t>(file.contents)}) {
      pack.number(value);
    }
    pack.number(static_cast<int64_t>(file.places.offsets().size()));
    for (const int64_t offset : file.places.offsets()) pack.number(offset);
    for (const FieldStorage& storage : file.fields) {
      pack.shape(storage.shape);
      pack.shape(storage.chunk);
      for (const bool flag : {storage.contiguous, storage.direct, storage.big_endian,
                              storage.compressed, storage.last}) {
        pack.number(flag);
      }
      pack.number(static_cast<int64_t>(storage.filters.size()));
      for (const int filter : storage.filters) pack.number(filter);
      pack.number(static_cast<int64_t>(storage.members.size()));
      for (const std::string& member : storage.members) pack.text(member);
      pack_meaning(storage, pack);
    }
  }
  pack.number(static_cast<int64_t>(warnings_.size()));
  for (const std::string& warning : warnings_) pack.text(warning);
  return pack.take();
}

void Dataset::unpack(const std::string& text) {
  Unpacker unpack(text);
  samples_ = unpack.number();
  blocks_ = unpack.number();
  main_field_ = static_cast<int>(unpack.number());
  fields_.resize(static_cast<size_t>(unpack.number()));
  for (Field& field : fields_) {
    field.name = unpack.text();
    field.path = unpack.text();
    field.dtype = static_cast<DType>(unpack.number());
    field.shape = unpack.shape();
    field.row_axes = static_cast<int>(unpack.number());
    field.per_series = unpack.number() != 0;
    field.lists.resize(static_cast<size_t>(unpack.number()));
    for (int64_t& length : field.lists) length = unpack.number();
    field.type = unpack.text();
    field.units = unpack.text();
    field.type_range.reset();
    if (unpack.number() != 0) {
      const double low = unpack.real();
      field.type_range = {low, unpack.real()};
    }
    for (bool* flag : {&field.complex, &field.scaled, &field.has_missing, &field.may_miss})
      *flag = unpack.number() != 0;
  }
  files_.resize(static_cast<size_t>(unpack.number()));
  for (DataFile& file : files_) {
    file.path = unpack.text();
    file.first = unpack.number();
    const int64_t samples = unpack.number(), rows = unpack.number();
    file.first_block = unpack.number();
    file.block_samples = unpack.number();
    file.user_block = static_cast<uint64_t>(unpack.number());
    file.bytes = static_cast<uint64_t>(unpack.number());
    file.modified = unpack.number();
    file.contents = static_cast<uint64_t>(unpack.number());
    std::vector<int64_t> offsets(static_cast<size_t>(unpack.number()));
    for (int64_t& offset : offsets) offset = unpack.number();
    file.fields.resize(fields_.size());
    for (FieldStorage& storage : file.fields) {
      storage.shape = unpack.shape();
      storage.chunk = unpack.shape();
      storage.contiguous = unpack.number() != 0;
      storage.direct = unpack.number() != 0;
      storage.big_endian = unpack.number() != 0;
      storage.compressed = unpack.number() != 0;
      storage.last = unpack.number() != 0;
      storage.filters.resize(static_cast<size_t>(unpack.number()));
      for (int& filter : storage.filters) filter = static_cast<int>(unpack.number());
      storage.members.resize(static_cast<size_t>(unpack.number()));
      for (std::string& member : storage.members) member = unpack.text();
      unpack_meaning(storage, unpack);
    }
    file.places = !offsets.empty()          ? SamplePlaces::windows(layout_, std::move(offsets))
                  : layout_.offsets.empty() ? SamplePlaces(layout_, file.fields[0].shape)
                                            : SamplePlaces::with_offsets(samples, rows);
  }
  warnings_.resize(static_cast<size_t>(unpack.number()));
  for (std::string& warning : warnings_) warning = unpack.text();
}

}  // namespace lacuna
