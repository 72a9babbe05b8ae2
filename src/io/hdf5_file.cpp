#include "io/hdf5.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "io/hdf5_private.h"

namespace lacuna::hdf5 {

namespace {

bool locking_refused(const std::string& stack) {
  return stack.find("unable to lock") != std::string::npos;
}

Handle access_properties(bool locking) {
  Handle properties = own<H5Pclose>(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 14, 0) || (H5_VERS_MINOR == 12 && H5_VERS_RELEASE >= 1) || \
    (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  if (!locking) H5Pset_file_locking(properties.id(), false, true);
#else
  if (!locking) setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
#endif
  return properties;
}

// Members of the folder of a path that is not there, for "did you mean".
std::string nearest_file(const std::string& path) {
  const std::filesystem::path wanted(path);
  const std::filesystem::path folder = wanted.has_parent_path() ? wanted.parent_path() : ".";
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator i(folder, error), end; !error && i != end;
       i.increment(error)) {
    names.push_back(i->path().filename().string());
  }
  return nearest(wanted.filename().string(), names);
}

void refuse_unless_readable(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) {
      bad_input("cannot read ", path, ": ", std::strerror(errno));
    }
    const std::string near = nearest_file(path);
    bad_input("there is no file ", path, near.empty() ? "" : concat("; did you mean ", near, "?"));
  }
  if (S_ISDIR(status.st_mode)) bad_input(path, " is a folder, not an HDF5 file");
  if (access(path.c_str(), R_OK) != 0) {
    bad_input("cannot read ", path, ": ", std::strerror(errno), "; check its permissions");
  }
}

[[noreturn]] void refuse_broken(const std::string& path) {
  const std::string stack = failure_stack();
  struct stat status {};
  stat(path.c_str(), &status);
  if (H5Fis_hdf5(path.c_str()) == 0) {
    bad_input(path, " is not an HDF5 file", status.st_size == 0 ? " (it is empty)" : "",
              "; make one with tools/import or h5py");
  }
  if (stack.find("truncated file") != std::string::npos) {
    const size_t at = stack.find("stored_eof = ");
    const std::string expected =
        at == std::string::npos
            ? ""
            : stack.substr(at + 13, stack.find_first_not_of("0123456789", at + 13) - at - 13);
    bad_input(path, " is truncated: it has ", status.st_size, " bytes",
              expected.empty() ? "" : concat(" of ", expected), "; copy it again");
  }
  bad_input("cannot open ", path, " as HDF5: ", last_failure().text,
            "; it may be damaged: check it with h5ls or copy it again");
}

struct Opened {
  Handle file, root;
  bool unlocked = false;
};

Opened open_existing(const std::string& path, unsigned flags) {
  Opened opened;
  opened.file = own<H5Fclose>(H5Fopen(path.c_str(), flags, access_properties(true).id()));
  if (!opened.file && flags == H5F_ACC_RDONLY && locking_refused(failure_stack())) {
    opened.file = own<H5Fclose>(H5Fopen(path.c_str(), flags, access_properties(false).id()));
    opened.unlocked = true;
  }
  if (!opened.file) refuse_broken(path);
  opened.root = own<H5Gclose>(H5Gopen2(opened.file.id(), "/", H5P_DEFAULT));
  if (!opened.root) refuse_broken(path);
  return opened;
}

}  // namespace

File::File(Handle file, Handle root, const std::string& path, bool unlocked)
    : Group(std::move(root), path, "/"), file_handle_(std::move(file)), unlocked_(unlocked) {}

File File::open(const std::string& path) {
  refuse_unless_readable(path);
  const Lock lock;
  Opened opened = open_existing(path, H5F_ACC_RDONLY);
  return File(std::move(opened.file), std::move(opened.root), path, opened.unlocked);
}

File File::open_writable(const std::string& path) {
  refuse_unless_readable(path);
  const Lock lock;
  Opened opened = open_existing(path, H5F_ACC_RDWR);
  return File(std::move(opened.file), std::move(opened.root), path, opened.unlocked);
}

File File::create(const std::string& path) {
  const Lock lock;
  Handle file = own<H5Fclose>(
      H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_properties(true).id()));
  if (!file && locking_refused(failure_stack())) {
    file = own<H5Fclose>(
        H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access_properties(false).id()));
  }
  if (!file) cannot_write(path, "a new file");
  Handle root = own<H5Gclose>(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  return File(std::move(file), std::move(root), path, false);
}

uint64_t File::user_block() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Fget_create_plist(file_handle_.id()));
  hsize_t size = 0;
  H5Pget_userblock(plist.id(), &size);
  return size;
}

bool File::plain_driver() const {
  const Lock lock;
  const Handle plist = own<H5Pclose>(H5Fget_access_plist(file_handle_.id()));
  return H5Pget_driver(plist.id()) == H5FD_SEC2;
}

void File::flush() {
  const Lock lock;
  check_write(H5Fflush(file_handle_.id(), H5F_SCOPE_LOCAL), file_, "data");
}

void File::close() {
  const Lock lock;
  handle_.reset();
  if (!file_handle_.reset()) cannot_write(file_, "the end of the file");
}

}  // namespace lacuna::hdf5
