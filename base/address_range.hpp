// Ranges of IPv4 addresses, and sets of them. Addresses are in the host's byte order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lade {

struct AddressRange {
  uint32_t first = 0;
  uint32_t last = 0;  ///< in the range, too
  auto operator<=>(const AddressRange&) const = default;

  /// The `length` first bits of `address`, which are all that count.
  static AddressRange of_prefix(uint32_t address, unsigned length);
  /// "10.0.0.0/8", or one address. Throws Error(usage) that says what is wrong: an address with
  /// bits set beyond the length is taken for a slip.
  static AddressRange parse(const std::string& text);
};

/// 10.0.2.2 and the like, without leading zeros, as inet_ntop(3) writes them. Throws Error(usage).
uint32_t parse_ipv4(const std::string& text);
std::string ipv4_text(uint32_t address);

class AddressSet {
 public:
  AddressSet() = default;
  explicit AddressSet(std::vector<AddressRange> ranges);

  bool contains(uint32_t address) const;

 private:
  std::vector<AddressRange> ranges_;  // sorted, with gaps between them
};

}  // namespace lade
