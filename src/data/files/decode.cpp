#include "data/files/decode.h"

#ifdef LACUNA_HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

#include <bit>
#include <cstring>
#include <new>

#include "base/error.h"

namespace lacuna {

#ifdef LACUNA_HAVE_LIBDEFLATE

ChunkDecoder::ChunkDecoder() : inflater_(libdeflate_alloc_decompressor()) {
  if (inflater_ == nullptr) throw std::bad_alloc();
}

ChunkDecoder::~ChunkDecoder() {
  libdeflate_free_decompressor(static_cast<libdeflate_decompressor*>(inflater_));
}

bool ChunkDecoder::inflate(std::span<const std::byte> stored, std::byte* to, size_t size) {
  return libdeflate_zlib_decompress(static_cast<libdeflate_decompressor*>(inflater_), stored.data(),
                                    stored.size(), to, size, nullptr) == LIBDEFLATE_SUCCESS;
}

#else

ChunkDecoder::ChunkDecoder() : inflater_(new z_stream{}) {
  if (inflateInit(static_cast<z_stream*>(inflater_)) != Z_OK) throw std::bad_alloc();
}

ChunkDecoder::~ChunkDecoder() {
  inflateEnd(static_cast<z_stream*>(inflater_));
  delete static_cast<z_stream*>(inflater_);
}

bool ChunkDecoder::inflate(std::span<const std::byte> stored, std::byte* to, size_t size) {
  z_stream& stream = *static_cast<z_stream*>(inflater_);
  inflateReset(&stream);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stored.data()));
  stream.avail_in = static_cast<uInt>(stored.size());  // a chunk is below 4 GiB
  stream.next_out = reinterpret_cast<Bytef*>(to);
  stream.avail_out = static_cast<uInt>(size);
  return ::inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_out == 0;
}

#endif

namespace {

template <size_t size>
void unshuffle_elements(const std::byte* from, size_t count, std::byte* to) {
  for (size_t i = 0; i < count; ++i) {
    for (size_t b = 0; b < size; ++b) to[i * size + b] = from[b * count + i];
  }
}

// HDF5's shuffle keeps together the first bytes of all elements, then the second ones, and so on.
void unshuffle(const std::byte* from, size_t bytes, size_t element_size, std::byte* to) {
  const size_t count = bytes / element_size;
  switch (element_size) {
    case 2:
      unshuffle_elements<2>(from, count, to);
      break;
    case 4:
      unshuffle_elements<4>(from, count, to);
      break;
    case 8:
      unshuffle_elements<8>(from, count, to);
      break;
    default:
      for (size_t b = 0; b < element_size; ++b) {
        for (size_t i = 0; i < count; ++i) to[i * element_size + b] = from[b * count + i];
      }
  }
  const size_t whole = count * element_size;
  std::memcpy(to + whole, from + whole, bytes - whole);
}

uint32_t little_endian(const std::byte* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 |
         static_cast<uint32_t>(p[2]) << 16 | static_cast<uint32_t>(p[3]) << 24;
}

// Files of HDF5 before 1.6.3 have the bytes of each half exchanged.
uint32_t exchange_bytes_of_halves(uint32_t sum) {
  return ((sum & 0x00ff00ffu) << 8) | ((sum >> 8) & 0x00ff00ffu);
}

}  // namespace

uint32_t fletcher32(std::span<const std::byte> data) {
  uint32_t a = 0, b = 0;
  size_t i = 0;
  const size_t even = data.size() / 2 * 2;
  while (i < even) {
    const size_t end = std::min(even, i + 2 * 360);  // 360 words: the most that cannot overflow
    for (; i < end; i += 2) {
      a += static_cast<uint32_t>(data[i]) << 8 | static_cast<uint32_t>(data[i + 1]);
      b += a;
    }
    a = (a & 0xffffu) + (a >> 16);
    b = (b & 0xffffu) + (b >> 16);
  }
  if (data.size() % 2 != 0) {
    a += static_cast<uint32_t>(data.back()) << 8;
    b += a;
    a = (a & 0xffffu) + (a >> 16);
    b = (b & 0xffffu) + (b >> 16);
  }
  a = (a & 0xffffu) + (a >> 16);
  b = (b & 0xffffu) + (b >> 16);
  return b << 16 | a;
}

std::string ChunkDecoder::decode(std::span<const std::byte> stored, std::span<const int> filters,
                                 size_t element_size, std::byte* to, size_t size) {
  std::span<const std::byte> now = stored;
  // The last step writes to `to`; those before it alternate between two buffers.
  size_t moves = 0;
  for (const int filter : filters) moves += filter != static_cast<int>(ChunkFilter::fletcher32);
  bool use_first = true;
  for (size_t i = filters.size(); i-- > 0;) {
    const auto filter = static_cast<ChunkFilter>(filters[i]);
    if (filter == ChunkFilter::fletcher32) {
      if (now.size() < 4) return "its checksum is missing";
      const uint32_t stored_sum = little_endian(now.data() + now.size() - 4);
      now = now.first(now.size() - 4);
      const uint32_t sum = fletcher32(now);
      if (sum != stored_sum && exchange_bytes_of_halves(sum) != stored_sum) {
        return "its checksum does not agree";
      }
      continue;
    }
    --moves;
    // A checksum written before this filter lies behind the values.
    size_t expected = size;
    for (size_t before = 0; before < i; ++before) {
      expected += filters[before] == static_cast<int>(ChunkFilter::fletcher32) ? 4 : 0;
    }
    std::byte* target = to;
    if (moves > 0 || expected != size) {
      std::vector<std::byte>& buffer = use_first ? first_ : second_;
      use_first = !use_first;
      if (buffer.size() < expected) buffer.resize(expected);
      target = buffer.data();
    }
    if (filter == ChunkFilter::deflate) {
      if (!inflate(now, target, expected)) return "it cannot be decompressed";
    } else {
      if (now.size() != expected) return "it has the wrong size";
      unshuffle(now.data(), now.size(), element_size, target);
    }
    now = {target, expected};
  }
  if (now.size() != size) return concat("it has ", now.size(), " bytes instead of ", size);
  if (now.data() != to) std::memcpy(to, now.data(), size);
  return "";
}

namespace {

template <typename Word, Word (*reverse)(Word)>
void swap_words(void* data, size_t count) {
  auto* p = static_cast<std::byte*>(data);
  for (size_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, p + i * sizeof(Word), sizeof(Word));
    word = reverse(word);
    std::memcpy(p + i * sizeof(Word), &word, sizeof(Word));
  }
}

uint16_t reverse16(uint16_t x) { return __builtin_bswap16(x); }
uint32_t reverse32(uint32_t x) { return __builtin_bswap32(x); }
uint64_t reverse64(uint64_t x) { return __builtin_bswap64(x); }

// A float of any width is not finite when all bits of its exponent are set.
template <typename Word>
int64_t first_with_full_exponent(const void* data, int64_t count, Word exponent) {
  const Word* values = static_cast<const Word*>(data);
  constexpr int64_t step = 4096;
  for (int64_t i = 0; i < count; i += step) {
    const int64_t end = std::min(count, i + step);
    Word largest = 0;
    for (int64_t j = i; j < end; ++j) {
      const Word bits = static_cast<Word>(values[j] & exponent);
      largest = bits > largest ? bits : largest;
    }
    if (largest != exponent) continue;
    for (int64_t j = i; j < end; ++j) {
      if ((values[j] & exponent) == exponent) return j;
    }
  }
  return -1;
}

}  // namespace

void swap_bytes(void* data, size_t count, size_t element_size) {
  if (element_size == 2) swap_words<uint16_t, reverse16>(data, count);
  if (element_size == 4) swap_words<uint32_t, reverse32>(data, count);
  if (element_size == 8) swap_words<uint64_t, reverse64>(data, count);
}

int64_t first_not_finite(const void* data, int64_t count, DType dtype) {
  switch (dtype) {
    case DType::f64:
      return first_with_full_exponent<uint64_t>(data, count, 0x7ff0000000000000u);
    case DType::f32:
      return first_with_full_exponent<uint32_t>(data, count, 0x7f800000u);
    case DType::bf16:
      return first_with_full_exponent<uint16_t>(data, count, 0x7f80u);
    case DType::f16:
      return first_with_full_exponent<uint16_t>(data, count, 0x7c00u);
    default:
      return -1;
  }
}

double element_value(const void* data, int64_t index, DType dtype) {
  switch (dtype) {
    case DType::u8:
      return static_cast<const uint8_t*>(data)[index];
    case DType::u16:
      return static_cast<const uint16_t*>(data)[index];
    case DType::i16:
      return static_cast<const int16_t*>(data)[index];
    case DType::i32:
      return static_cast<const int32_t*>(data)[index];
    case DType::i64:
      return static_cast<double>(static_cast<const int64_t*>(data)[index]);
    case DType::f32:
      return static_cast<double>(static_cast<const float*>(data)[index]);
    case DType::f64:
      return static_cast<const double*>(data)[index];
    case DType::f16:
      return static_cast<double>(static_cast<float>(static_cast<const Float16*>(data)[index]));
    case DType::bf16:
      return static_cast<double>(static_cast<float>(static_cast<const BFloat16*>(data)[index]));
  }
  return 0;
}

}  // namespace lacuna
