#include "io/hdf5_private.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace lacuna::hdf5 {

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;  // the library itself is one per process
  return mutex;
}

herr_t remember_innermost(unsigned, const H5E_error2_t* error, void* data) {
  auto& failure = *static_cast<Failure*>(data);
  if (error->desc == nullptr) return 0;
  failure.text = error->desc;
  if (const char* at = std::strstr(error->desc, "errno = ")) {
    failure.error_number = std::atoi(at + 8);
  }
  return 0;
}

herr_t append_description(unsigned, const H5E_error2_t* error, void* data) {
  if (error->desc != nullptr) static_cast<std::string*>(data)->append(error->desc).append("\n");
  return 0;
}

// A float type of 16 bits that the library has no name for.
Handle half_precision(size_t exponent_bits, size_t mantissa_bits, size_t bias, bool big_endian) {
  const hid_t type = H5Tcopy(big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, mantissa_bits, exponent_bits, 0, mantissa_bits);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, bias);
  return own<H5Tclose>(type);
}

hid_t predefined(DType dtype, bool big_endian) {
  switch (dtype) {
    case DType::f64:
      return big_endian ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
    case DType::f32:
      return big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
    case DType::i64:
      return big_endian ? H5T_STD_I64BE : H5T_STD_I64LE;
    case DType::i32:
      return big_endian ? H5T_STD_I32BE : H5T_STD_I32LE;
    case DType::u16:
      return big_endian ? H5T_STD_U16BE : H5T_STD_U16LE;
    case DType::i16:
      return big_endian ? H5T_STD_I16BE : H5T_STD_I16LE;
    case DType::u8:
      return H5T_STD_U8LE;
    case DType::bf16:
    case DType::f16:
      break;
  }
  return -1;
}

constexpr bool host_is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

}  // namespace

Lock::Lock() : guard_(library_mutex()) {
  static const bool quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  // A thread-safe library keeps the setting per thread.
  thread_local const bool quiet_here = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(quiet);
  static_cast<void>(quiet_here);
}

Failure last_failure() {
  Failure failure;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* data) {
        // Upward begins with the innermost; later ones only add an errno if it has none.
        auto& innermost = *static_cast<Failure*>(data);
        if (n == 0 || innermost.text.empty()) return remember_innermost(n, error, data);
        return herr_t{0};
      },
      &failure);
  return failure;
}

std::string failure_stack() {
  std::string all;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_description, &all);
  return all;
}

void cannot_write(const std::string& file, const std::string& what) {
  const Failure failure = last_failure();
  const std::string why =
      failure.error_number != 0 ? std::strerror(failure.error_number) : failure.text;
  const bool full = failure.error_number == ENOSPC || failure.error_number == EDQUOT;
  throw Error(ExitStatus::no_space,
              concat("cannot write ", what, " in ", file, ": ", why,
                     full ? "; free space or choose another folder, then start again"
                          : "; check the folder and its permissions"));
}

void check_write(herr_t status, const std::string& file, const std::string& what) {
  if (status < 0) cannot_write(file, what);
}

void cannot_copy(const Dataset& from, const std::string& why) {
  bad_input("cannot copy ", from.path(), " in ", from.file(), ": ", why,
            "; the file may be damaged: copy it again");
}

bool Handle::reset() {
  if (id_ < 0) return true;
  const Lock lock;
  // Closing would clear the error stack, which tells why an earlier call failed.
  const bool failed = H5Eget_num(H5E_DEFAULT) > 0;
  const hid_t stack = failed ? H5Eget_current_stack() : -1;
  const bool good = close_(id_) >= 0;
  id_ = -1;
  if (failed && good) H5Eset_current_stack(stack);
  if (failed && !good) H5Eclose_stack(stack);
  return good;
}

Handle file_type(DType dtype, bool big_endian) {
  if (dtype == DType::f16) return half_precision(5, 10, 15, big_endian);
  if (dtype == DType::bf16) return half_precision(8, 7, 127, big_endian);
  return own<H5Tclose>(H5Tcopy(predefined(dtype, big_endian)));
}

Handle memory_type(DType dtype) { return file_type(dtype, host_is_big_endian); }

std::optional<ChunkPlace> chunk_place(const Dataset& dataset, int64_t row, const Shape& origin) {
  const Lock lock;
  std::vector<hsize_t> corner(origin.sizes().begin(), origin.sizes().end());
  corner[0] += static_cast<hsize_t>(row);
  unsigned mask = 0;
  haddr_t address = HADDR_UNDEF;
  hsize_t bytes = 0;
  // By coordinates: looking a chunk up by its number walks over all chunks before it in 1.10.
  if (H5Dget_chunk_info_by_coord(dataset.id(), corner.data(), &mask, &address, &bytes) < 0) {
    return std::nullopt;
  }
  if (address == HADDR_UNDEF || bytes == 0 || mask != 0) return std::nullopt;
  return ChunkPlace{address, bytes};
}

std::string version() { return concat(H5_VERS_MAJOR, ".", H5_VERS_MINOR, ".", H5_VERS_RELEASE); }

}  // namespace lacuna::hdf5
