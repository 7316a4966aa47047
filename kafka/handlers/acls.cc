#include "kafka/handlers/handlers.h"
#include "kafka/messages/create_acls.h"
#include "kafka/messages/delete_acls.h"
#include "kafka/messages/describe_acls.h"

// There is no access control yet, and clients are told so as by a Kafka broker without an authorizer.
namespace afdg::kafka {
namespace {

constexpr std::string_view kWhy = "there is no access control on this node";

}  // namespace

void handlers::describe_acls(Broker&, const CallPtr& call) {
  DescribeAclsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  DescribeAclsResponse response;
  response.error_code = ErrorCode::kSecurityDisabled;
  response.error_message = kWhy;
  call->reply(response);
}

void handlers::create_acls(Broker&, const CallPtr& call) {
  CreateAclsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  CreateAclsResponse response;
  response.results.assign(request.creations.size(), {ErrorCode::kSecurityDisabled, kWhy});
  call->reply(response);
}

void handlers::delete_acls(Broker&, const CallPtr& call) {
  DeleteAclsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  DeleteAclsResponse response;
  response.filter_results.assign(request.filters.size(), {ErrorCode::kSecurityDisabled, kWhy, {}});
  call->reply(response);
}

}  // namespace afdg::kafka
