// Errors on their way to clients: gRPC statuses with BuildKit's details.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <grpcpp/support/status.h>

#include "base/error.hpp"

namespace lade {

/// With the lines at fault, which clients print.
grpc::Status to_status(const Error& error);

/// The status as a google.rpc.Status, with its details.
std::string status_details(const grpc::Status& status);

/// Runs what a call does; its Error is the call's status.
grpc::Status guarded(const std::function<void()>& body);

}  // namespace lade
