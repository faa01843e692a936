/*
 * One gRPC call with one request and one answer, over HTTP/2 on a unix socket.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "source/http_client.h"

struct grpc_call {
    const char *socket; /* path */
    const char *method; /* "/v1.PodResourcesLister/List" */
    struct str request; /* the message, at most GRPC_REQUEST_BYTES */
    uint64_t timeout_ns;
    size_t max_answer_bytes;
};

enum { GRPC_REQUEST_BYTES = 4096, GRPC_PREFIX_BYTES = 5 };

/* The numbers of gRPC's status that a caller may want to know. */
enum { GRPC_UNKNOWN = 2, GRPC_RESOURCE_EXHAUSTED = 8, GRPC_UNIMPLEMENTED = 12 };

/**
 * grpc_unary() - call, and wait for the answer
 * @answer: receives the message, without its prefix at @message; reset at first
 * @reason: a word for the error counters when it failed
 *
 * Return: 0; -EAGAIN when the server refuses for now (its rate limit); -EOPNOTSUPP when
 * it does not know the method; -EPROTO for what is no gRPC answer; -EIO when the server
 * answers with another error; otherwise as http_post().
 */
int grpc_unary(struct http_client *client, const struct grpc_call *call,
               struct buf *answer, struct str *message, const char **reason,
               struct err *err) __attribute__((warn_unused_result));

/* The message in a body that must hold exactly one. Return: 0 or -EPROTO. */
int grpc_read_frame(struct str body, struct str *message, struct err *err)
    __attribute__((warn_unused_result));

/* Judges status, content type and gRPC status. Return: as grpc_unary(). */
int grpc_check_answer(const struct http_answer *answer, const char **reason,
                      struct err *err) __attribute__((warn_unused_result));
