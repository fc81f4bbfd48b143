// Where in a user's file something was said. Everything the parser makes carries a SourceRange, and
// every error that has one is shown with an excerpt of the lines it names.
#pragma once

#include <memory>
#include <string>

namespace lade {

/// A text the user gave us, kept whole so that errors can quote it.
struct SourceFile {
  std::string name;  ///< as the user would recognise it: "Dockerfile", "-" for standard input
  std::string text;  ///< the bytes as read
};

/// Lines `first_line` to `last_line` of `file`, both 1-based and inclusive. `file` may be null
/// (a range that lost its text), `first_line` 0 means "no lines known".
struct SourceRange {
  std::shared_ptr<const SourceFile> file;
  int first_line = 0;
  int last_line = 0;
};

/// "Dockerfile:3" or "Dockerfile:3-5".
std::string to_string(const SourceRange& range);

/// The named lines with `around` lines before and after, numbered, the named ones marked ">>>".
/// Empty if the text is not known.
std::string excerpt(const SourceRange& range, int around = 2);

}  // namespace lade
