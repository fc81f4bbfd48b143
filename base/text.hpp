// Small text helpers that the standard library of C++20 lacks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lade {

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);  ///< spaces, tabs, CR, LF
std::string to_lower(std::string_view text);   ///< ASCII only
std::string to_upper(std::string_view text);   ///< ASCII only

/// The candidate nearest to `word` by edit distance, if it is near enough to be what was meant;
/// empty otherwise. ASCII case is ignored.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// Cleans a slash path lexically: no ".", no "..", no double slashes (".." at the root stays
/// there). The result is absolute if `path` is; "." for an empty relative path (as Go's
/// path.Clean).
std::string clean_path(std::string_view path);
/// `path` if it is absolute, else `base`/`path`; cleaned.
std::string join_path(std::string_view base, std::string_view path);
std::string base_name(std::string_view path);  ///< as Go's path.Base
std::string dir_name(std::string_view path);   ///< as Go's path.Dir
/// What a clean path has before its last slash; empty without one.
std::string_view parent_of(std::string_view path);

}  // namespace lade
