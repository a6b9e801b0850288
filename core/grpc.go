package klime

import (
	"net/http"
	"strconv"
)

// gRPC answers with HTTP's status 200 even if a call has failed. Its own status is a number in
// the header or trailer Grpc-Status: https://grpc.io/docs/guides/status-codes.

// grpcStatus is the status of gRPC, if the answer has one.
func (x *Exchange) grpcStatus() (status int64, ok bool) {
	if x.GRPCStatus == "" {
		return 0, false // without an error, which is allocated
	}
	n, err := strconv.ParseUint(x.GRPCStatus, 10, 8)
	return int64(n), err == nil
}

// fault says who is to blame for a failed request.
type fault int

const (
	noFault fault = iota
	callersFault
	serversFault
)

// fault goes by the status. Of gRPC's, the server's are those that OpenTelemetry's conventions
// count as errors of a server.
func (x *Exchange) fault() fault {
	switch {
	case x.Status >= http.StatusInternalServerError:
		return serversFault
	case x.Status >= http.StatusBadRequest:
		return callersFault
	}
	if x.GRPCStatus == "" {
		return noFault
	}
	status, ok := x.grpcStatus()
	if !ok {
		return serversFault // UNKNOWN, as clients take it
	}
	switch status {
	case 0:
		return noFault
	case 1, 3, 5, 6, 7, 8, 9, 10, 11, 16:
		return callersFault
	default: // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, or none that gRPC defines
		return serversFault
	}
}
