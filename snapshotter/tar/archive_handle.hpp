// What reading and writing archives with libarchive have in common. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include "base/error.hpp"

namespace lade {

struct ArchiveReadFree {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
struct ArchiveWriteFree {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct ArchiveEntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using ReadArchive = std::unique_ptr<archive, ArchiveReadFree>;
using WriteArchive = std::unique_ptr<archive, ArchiveWriteFree>;
using ArchiveEntry = std::unique_ptr<archive_entry, ArchiveEntryFree>;

inline std::string archive_message(archive* handle) {
  const char* text = archive_error_string(handle);
  return text ? text : "unknown error";
}

/// The "C" locale for this thread: libarchive converts names by the locale, and in this one it
/// cannot, so that every name stays the bytes it is, wherever lade runs.
class PlainLocale {
 public:
  PlainLocale() : plain_(::newlocale(LC_ALL_MASK, "C", nullptr)) {
    if (!plain_) throw_errno("could not make the C locale");
    previous_ = ::uselocale(plain_);
  }
  ~PlainLocale() {
    ::uselocale(previous_);
    ::freelocale(plain_);
  }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  locale_t plain_;
  locale_t previous_{};
};

}  // namespace lade
