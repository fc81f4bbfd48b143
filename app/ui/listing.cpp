#include "app/ui/listing.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/ui/template.hpp"
#include "base/text.hpp"

namespace lade {
namespace {

constexpr size_t kLeastWidth = 10;
constexpr size_t kPadding = 3;

/// Characters of UTF-8 text, which is what a terminal aligns by.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string aligned(const std::vector<std::string>& lines) {
  std::vector<std::vector<std::string>> table;
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    table.push_back(split(line, '\t'));
    widths.resize(std::max(widths.size(), table.back().size()), kLeastWidth);
    for (size_t i = 0; i < table.back().size(); ++i) {
      widths[i] = std::max(widths[i], width_of(table.back()[i]) + kPadding);
    }
  }
  std::string out;
  for (const auto& row : table) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width_of(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

std::string table(const ListingKind& kind, const std::string& columns,
                  const std::vector<nlohmann::json>& rows, bool header) {
  const Template line(columns);
  std::vector<std::string> lines;
  if (header) lines.push_back(line.render(kind.headers));
  for (const auto& row : rows) lines.push_back(line.render(row));
  return aligned(lines);
}

}  // namespace

std::string listing(const ListingKind& kind, const std::string& format,
                    const std::vector<nlohmann::json>& rows, bool header) {
  if (format.empty() || format == "table") return table(kind, kind.table, rows, header);
  if (format.starts_with("table ")) {
    return table(kind, std::string(trim(format.substr(6))), rows, header);
  }
  std::string out;
  if (format == "json") {
    for (const auto& row : rows) {
      out += row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return out;
  }
  const Template line(format);
  for (const auto& row : rows) out += line.render(row) + "\n";
  return out;
}

std::string human_duration(int64_t seconds) {
  const int64_t minutes = seconds / 60;
  const int64_t hours = (seconds + 1800) / 3600;
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return fmt::format("{} seconds", seconds);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < 24 * 7 * 2) return fmt::format("{} days", hours / 24);
  if (hours < 24 * 30 * 2) return fmt::format("{} weeks", hours / 24 / 7);
  if (hours < 24 * 365 * 2) return fmt::format("{} months", hours / 24 / 30);
  return fmt::format("{} years", hours / 24 / 365);
}

std::string human_size(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // What would be shown as 1000 is 1 of the next unit.
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g}{}", value, kUnits[unit]);
}

}  // namespace lade
