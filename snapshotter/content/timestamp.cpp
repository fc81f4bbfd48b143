#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include "snapshotter/content/image_config.hpp"

namespace lade {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;

/// Takes fixed-width fields off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool literal(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  /// Exactly `digits` digits with a value of `low`..`high`.
  bool number(size_t digits, int low, int high, int& out) {
    if (text_.size() < digits) return false;
    out = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (text_[i] < '0' || text_[i] > '9') return false;
      out = out * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return out >= low && out <= high;
  }

  /// At least one digit after the decimal point, as nanoseconds.
  bool fraction(int32_t& nanoseconds) {
    int32_t scale = 100'000'000;
    size_t i = 0;
    for (; i < text_.size() && text_[i] >= '0' && text_[i] <= '9'; ++i) {
      nanoseconds += (text_[i] - '0') * scale;
      scale /= 10;
    }
    text_.remove_prefix(i);
    return i > 0;
  }

  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

/// "Z" or "+hh:mm", in seconds east of UTC.
bool scan_offset(Scanner& in, int64_t& offset) {
  if (in.literal('Z')) return true;
  const bool west = in.literal('-');
  int hours = 0;
  int minutes = 0;
  if ((!west && !in.literal('+')) || !in.number(2, 0, 23, hours) || !in.literal(':') ||
      !in.number(2, 0, 59, minutes)) {
    return false;
  }
  offset = (hours * 60 + minutes) * (west ? -60 : 60);
  return true;
}

}  // namespace

Timestamp Timestamp::now() {
  struct timespec time = {};
  clock_gettime(CLOCK_REALTIME, &time);
  return {time.tv_sec, static_cast<int32_t>(time.tv_nsec)};
}

std::optional<Timestamp> Timestamp::parse(std::string_view rfc3339) {
  Scanner in(rfc3339);
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!in.number(4, 0, 9999, year) || !in.literal('-') || !in.number(2, 1, 12, month) ||
      !in.literal('-') || !in.number(2, 1, 31, day) || !in.literal('T') ||
      !in.number(2, 0, 23, hour) || !in.literal(':') || !in.number(2, 0, 59, minute) ||
      !in.literal(':') || !in.number(2, 0, 59, second)) {
    return std::nullopt;
  }
  Timestamp out;
  if (in.literal('.') && !in.fraction(out.nanoseconds)) return std::nullopt;
  int64_t offset = 0;
  if (!scan_offset(in, offset) || !in.at_end()) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  out.seconds = days * kSecondsPerDay + hour * 3600 + minute * 60 + second - offset;
  return out;
}

std::string Timestamp::str() const {
  int64_t days = seconds / kSecondsPerDay;
  int64_t rest = seconds % kSecondsPerDay;
  if (rest < 0) {
    rest += kSecondsPerDay;
    --days;
  }
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(static_cast<int32_t>(days)))};
  std::string out =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  rest / 3600, rest / 60 % 60, rest % 60);
  if (nanoseconds != 0) {
    out += fmt::format(".{:09}", nanoseconds);
    out.erase(out.find_last_not_of('0') + 1);
  }
  return out + "Z";
}

}  // namespace lade
