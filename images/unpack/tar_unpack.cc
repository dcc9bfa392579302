// SPDX-License-Identifier: Apache-2.0
#include "images/unpack/tar_unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/file.h"
#include "images/unpack/byte_source.h"
#include "images/unpack/layer_writer.h"

namespace berth::images::unpack {
namespace {

struct ArchiveFree {
  void operator()(archive* a) const { archive_read_free(a); }
};

// What the read callback needs; its error is kept because libarchive knows only numbers.
struct Input {
  HashingSource* source;
  Status status;
  bool ended = false;
};

constexpr uint64_t kBlockBytes = 512;

uint64_t PaddingOf(uint64_t size) { return (kBlockBytes - size % kBlockBytes) % kBlockBytes; }

la_ssize_t ReadCallback(archive* a, void* opaque, const void** buffer) {
  auto* input = static_cast<Input*>(opaque);
  auto bytes = input->source->Next();
  if (!bytes.ok()) {
    input->status = bytes.status();
    archive_set_error(a, EIO, "input");
    return ARCHIVE_FATAL;
  }
  *buffer = bytes->data();
  if (!bytes->empty() || input->ended) return static_cast<la_ssize_t>(bytes->size());
  // Some writers leave out the padding of the last file; CopyData checks that no more is missing.
  static const char kZeros[kBlockBytes] = {};
  input->ended = true;
  *buffer = kZeros;
  return static_cast<la_ssize_t>(PaddingOf(input->source->bytes()));
}

class TarUnpacker {
 public:
  TarUnpacker(HashingSource* source, LayerWriter* writer, const Limits& limits)
      : input_{source, absl::OkStatus(), false}, writer_(writer), limits_(limits) {}

  uint64_t bytes() const { return bytes_; }

  Status Run() {
    reader_.reset(archive_read_new());
    if (reader_ == nullptr) return absl::ResourceExhaustedError("out of memory");
    archive* a = reader_.get();
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    archive_read_support_filter_none(a);
    if (archive_read_open(a, &input_, nullptr, ReadCallback, nullptr) != ARCHIVE_OK) {
      return Error("open");
    }
    for (;;) {
      archive_entry* header = nullptr;
      int rc = archive_read_next_header(a, &header);
      if (rc == ARCHIVE_EOF) break;
      // A warning is about a name that is not UTF-8; it is usable as bytes.
      if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) return Error("header");
      Entry entry;
      RETURN_IF_ERROR(Convert(header, &entry));
      RETURN_IF_ERROR(writer_->Add(entry, [&](int fd) { return CopyData(header, fd); }));
    }
    // While it looks for the format, libarchive takes a failing input for an empty one.
    RETURN_IF_ERROR(input_.status);
    return writer_->Finish();
  }

 private:
  Status Error(std::string_view what) {
    if (!input_.status.ok()) return input_.status;
    const char* text = archive_error_string(reader_.get());
    return absl::DataLossError(absl::StrCat("tar ", std::string(what), ": ",
                                            Printable(text == nullptr ? "damaged" : text)));
  }

  Status Convert(archive_entry* header, Entry* entry) {
    const char* path = archive_entry_pathname(header);
    if (path == nullptr) return absl::DataLossError("tar: entry without a readable name");
    entry->path = path;
    if (const char* target = archive_entry_hardlink(header); target != nullptr) {
      entry->type = EntryType::kHardLink;
      entry->target = target;
    } else {
      switch (archive_entry_filetype(header)) {
        case AE_IFREG:
          entry->type = EntryType::kFile;
          break;
        case AE_IFDIR:
          entry->type = EntryType::kDirectory;
          break;
        case AE_IFLNK:
          entry->type = EntryType::kSymlink;
          if (const char* to = archive_entry_symlink(header); to != nullptr) entry->target = to;
          break;
        case AE_IFCHR:
          entry->type = EntryType::kCharDevice;
          break;
        case AE_IFBLK:
          entry->type = EntryType::kBlockDevice;
          break;
        case AE_IFIFO:
          entry->type = EntryType::kFifo;
          break;
        default:
          return absl::DataLossError(
              absl::StrCat("entry \"", Printable(entry->path), "\": unknown type"));
      }
    }
    entry->mode = archive_entry_perm(header);
    entry->uid = archive_entry_uid(header);
    entry->gid = archive_entry_gid(header);
    entry->mtime_s = archive_entry_mtime(header);
    entry->mtime_ns = archive_entry_mtime_nsec(header);
    entry->device_major = static_cast<int64_t>(archive_entry_rdevmajor(header));
    entry->device_minor = static_cast<int64_t>(archive_entry_rdevminor(header));
    archive_entry_xattr_reset(header);
    const char* name;
    const void* value;
    size_t size;
    while (archive_entry_xattr_next(header, &name, &value, &size) == ARCHIVE_OK) {
      if (name == nullptr) continue;
      entry->xattrs.push_back({name, std::string(static_cast<const char*>(value), size)});
      if (entry->xattrs.size() > kMaxXattrsPerEntry) break;  // the writer refuses it
    }
    return absl::OkStatus();
  }

  Status CopyData(archive_entry* header, int fd) {
    const int64_t size = archive_entry_size_is_set(header) ? archive_entry_size(header) : 0;
    // Holes count as well: a sparse file costs nothing to send and much to copy.
    if (size < 0 || static_cast<uint64_t>(size) > limits_.max_bytes - logical_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("files are larger than the limit of ", limits_.max_bytes, " bytes"));
    }
    logical_ += static_cast<uint64_t>(size);
    int64_t end = 0;
    for (;;) {
      const void* data;
      size_t count;
      la_int64_t offset;
      int rc = archive_read_data_block(reader_.get(), &data, &count, &offset);
      if (rc == ARCHIVE_EOF) break;
      if (rc != ARCHIVE_OK) return Error("content");
      if (offset < 0 || offset > size || static_cast<uint64_t>(size - offset) < count) {
        return absl::DataLossError("tar content: beyond the size of the file");
      }
      RETURN_IF_ERROR(Write(fd, static_cast<const char*>(data), count, offset));
      bytes_ += count;
      end = std::max<int64_t>(end, offset + static_cast<int64_t>(count));
    }
    const auto consumed = static_cast<uint64_t>(archive_filter_bytes(reader_.get(), 0));
    if (input_.ended && consumed > input_.source->bytes() &&
        (archive_entry_sparse_count(header) > 0 ||
         consumed - input_.source->bytes() > PaddingOf(static_cast<uint64_t>(size)))) {
      return absl::DataLossError("tar content: archive ends within a file");
    }
    if (end < size && ftruncate(fd, size) != 0) return ErrnoError(errno, "extend file");
    return absl::OkStatus();
  }

  static Status Write(int fd, const char* data, size_t count, int64_t offset) {
    while (count > 0) {
      ssize_t n = pwrite(fd, data, count, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoError(errno, "write");
      data += n;
      count -= static_cast<size_t>(n);
      offset += n;
    }
    return absl::OkStatus();
  }

  Input input_;
  LayerWriter* const writer_;
  const Limits limits_;
  std::unique_ptr<archive, ArchiveFree> reader_;
  uint64_t bytes_ = 0;
  uint64_t logical_ = 0;
};

}  // namespace

Status Initialize() {
  if (setlocale(LC_CTYPE, "C.UTF-8") == nullptr) {
    return absl::FailedPreconditionError("locale C.UTF-8 is not installed");
  }
  // The first use of the library reads its configuration file.
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest("", 0, digest, &size, EVP_sha256(), nullptr) != 1) {
    return absl::InternalError("sha256 is not available");
  }
  return absl::OkStatus();
}

Status UnpackLayer(int blob_fd, int root_fd, int implicit_fd, Format format, bool prefer_zlib,
                   const Limits& limits, Report* report) {
  FdSource file(blob_fd);
  ASSIGN_OR_RETURN(auto decompressor, NewDecompressor(&file, format, prefer_zlib));
  HashingSource stream(decompressor.get(), limits.max_bytes);
  LayerWriter writer(root_fd, limits);
  TarUnpacker unpacker(&stream, &writer, limits);
  Status status = unpacker.Run();
  report->bytes = unpacker.bytes();
  report->inodes = writer.inodes();
  report->stream_bytes = stream.bytes();
  RETURN_IF_ERROR(status);
  // The diffID covers what follows the end-of-archive mark too.
  for (;;) {
    ASSIGN_OR_RETURN(auto rest, stream.Next());
    if (rest.empty()) break;
  }
  report->stream_bytes = stream.bytes();
  stream.Finish(report->diff_id);
  if (implicit_fd < 0) return absl::OkStatus();
  return Annotate(WriteAll(implicit_fd, writer.ImplicitDirectories()), "implicit directories");
}

}  // namespace berth::images::unpack
