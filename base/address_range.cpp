#include "base/address_range.hpp"

#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/error.hpp"

namespace lade {
namespace {

constexpr unsigned kBits = 32;

uint32_t host_bits(unsigned length) {
  return length == 0 ? ~0u : length == kBits ? 0 : (1u << (kBits - length)) - 1;
}

unsigned parse_length(const std::string& text, const std::string& whole) {
  const bool digits = !text.empty() && text.size() <= 2 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const unsigned length = digits ? static_cast<unsigned>(std::stoul(text)) : kBits + 1;
  if (length > kBits) {
    throw Error(fmt::format("{} does not end in a length of 0 to 32", quoted(whole)),
                ErrorKind::usage);
  }
  return length;
}

}  // namespace

uint32_t parse_ipv4(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) == 1) return ntohl(address.s_addr);
  in6_addr ignored{};
  Error error(fmt::format("{} is not an IPv4 address", quoted(text)), ErrorKind::usage);
  if (::inet_pton(AF_INET6, text.c_str(), &ignored) == 1) {
    error.set_hint("steps have no IPv6, so only IPv4 addresses need naming");
  }
  throw error;
}

std::string ipv4_text(uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff,
                     address & 0xff);
}

AddressRange AddressRange::of_prefix(uint32_t address, unsigned length) {
  const uint32_t rest = host_bits(length);
  return {address & ~rest, address | rest};
}

AddressRange AddressRange::parse(const std::string& text) {
  const auto slash = text.find('/');
  const uint32_t address = parse_ipv4(text.substr(0, slash));
  if (slash == std::string::npos) return {address, address};
  const unsigned length = parse_length(text.substr(slash + 1), text);
  const AddressRange out = of_prefix(address, length);
  if (out.first != address) {
    Error error(fmt::format("{} has bits set beyond its first {}", quoted(text), length),
                ErrorKind::usage);
    error.set_hint(fmt::format("did you mean {}/{}?", ipv4_text(out.first), length));
    throw error;
  }
  return out;
}

AddressSet::AddressSet(std::vector<AddressRange> ranges) {
  std::ranges::sort(ranges);
  for (const auto& range : ranges) {
    // The last address of all has no next one to be compared with.
    const bool joins =
        !ranges_.empty() && (ranges_.back().last == ~0u || range.first <= ranges_.back().last + 1);
    if (joins) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

bool AddressSet::contains(uint32_t address) const {
  const auto after = std::ranges::upper_bound(ranges_, address, {}, &AddressRange::first);
  return after != ranges_.begin() && address <= std::prev(after)->last;
}

}  // namespace lade
