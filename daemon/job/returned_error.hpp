#pragma once

#include <string>
#include <utility>

#include "base/error.hpp"

namespace lade {

/// An error that a client acting as a frontend ended its build with, passed on as it came.
class ReturnedError : public Error {
 public:
  ReturnedError(std::string message, std::string status)
      : Error(std::move(message)), status_(std::move(status)) {}
  const std::string& status() const { return status_; }  ///< a serialized lade.rpc.Status

 private:
  std::string status_;
};

}  // namespace lade
