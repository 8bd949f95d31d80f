// SPDX-License-Identifier: BSD-3-Clause
//
// kernel_pptp: a pppd plugin that dials a PPTP server (RFC 2637) and gives the call to the Linux
// kernel. The kernel's pptp module carries GRE, ppp_generic carries PPP, and ppp_mppe encrypts.
//
//   pppd plugin …/kernel_pptp.so pptp_server 198.51.100.1 [pptp_from 198.51.100.11] …
//
// connect_call() runs in pppd and sets the call up. After that a child process, the keeper, owns
// the control connection: it answers the server, and it ends when the server ends the call. A
// socket pair joins the two. The keeper says farewell when pppd's end closes, also when pppd is
// killed. pppd hangs up when the keeper ends.
//
// For tests only: one call, IPv4, no retries. Messages are checked by length, magic and type alone.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/if_pppox.h>

// pppd's headers use the types above, and each other's. They have a `bool` of their own.
#include <pppd/pppd.h>

#include <pppd/fsm.h>
#include <pppd/lcp.h>

enum { false, true };

char pppd_version[] = VERSION;  // pppd refuses a plugin of another version
void plugin_init(void);         // what pppd calls

enum {
  kPort = 1723,
  kMagic = 0x1a2b3c4d,
  kAnswerSeconds = 10,    // for each message, and for TCP to connect
  kFarewellSeconds = 2,   // for each answer at the end
  kMaximumMessage = 220,  // octets: Incoming-Call-Request, the longest one of RFC 2637 §2
};

// Message types (RFC 2637 §2).
enum {
  kStartRequest = 1,
  kStartReply = 2,
  kStopRequest = 3,
  kStopReply = 4,
  kEchoRequest = 5,
  kEchoReply = 6,
  kOutgoingCallRequest = 7,
  kOutgoingCallReply = 8,
  kCallClearRequest = 12,
  kCallDisconnectNotify = 13,
  kSetLinkInfo = 15,
};

// The messages in network byte order. All fields are naturally aligned, so nothing is padded.
struct header {
  uint16_t length;
  uint16_t message_type;  // 1: control
  uint32_t magic;
  uint16_t type;
  uint16_t reserved;
};
struct start {  // Start-Control-Connection-Request and -Reply, §2.1, §2.2
  struct header header;
  uint16_t version;
  uint8_t result;
  uint8_t error;
  uint32_t framing;
  uint32_t bearer;
  uint16_t channels;
  uint16_t firmware;
  char host[64];
  char vendor[64];
};
struct call_request {  // Outgoing-Call-Request, §2.7
  struct header header;
  uint16_t call_id;
  uint16_t serial;
  uint32_t minimum_bps;
  uint32_t maximum_bps;
  uint32_t bearer;
  uint32_t framing;
  uint16_t window;
  uint16_t delay;
  uint16_t number_length;
  uint16_t reserved;
  char number[64];
  char subaddress[64];
};
struct call_reply {  // Outgoing-Call-Reply, §2.8
  struct header header;
  uint16_t call_id;
  uint16_t peers_call_id;
  uint8_t result;
  uint8_t error;
  uint16_t cause;
  uint32_t speed;
  uint16_t window;
  uint16_t delay;
  uint32_t channel;
};
struct call_clear {  // Call-Clear-Request, §2.12; the front of Call-Disconnect-Notify, §2.13
  struct header header;
  uint16_t call_id;
  uint16_t reserved;
};
struct link_info {  // Set-Link-Info, §2.15
  struct header header;
  uint16_t peers_call_id;
  uint16_t reserved;
  uint32_t send_accm;
  uint32_t receive_accm;
};
struct stop {  // Stop-Control-Connection-Request and -Reply, §2.3, §2.4
  struct header header;
  uint8_t reason;  // in a reply: the result
  uint8_t error;
  uint16_t reserved;
};
struct echo {  // Echo-Request, §2.5
  struct header header;
  uint32_t identifier;
};
struct echo_reply {  // §2.6
  struct header header;
  uint32_t identifier;
  uint8_t result;
  uint8_t error;
  uint16_t reserved;
};
_Static_assert(sizeof(struct start) == 156, "RFC 2637 §2.1");
_Static_assert(sizeof(struct call_request) == 168, "RFC 2637 §2.7");
_Static_assert(sizeof(struct call_reply) == 32, "RFC 2637 §2.8");
_Static_assert(sizeof(struct link_info) == 24, "RFC 2637 §2.15");
_Static_assert(sizeof(struct echo_reply) == 20, "RFC 2637 §2.6");

union message {
  struct header header;
  struct start start;
  struct call_reply call_reply;
  struct call_clear call_clear;  // and Call-Disconnect-Notify
  struct stop stop;
  struct echo echo;
  uint8_t octets[kMaximumMessage];
};

static char* server = NULL;   // option pptp_server
static char* from = NULL;     // option pptp_from
static int pppox = -1;        // the kernel's end of the call
static int keeper_link = -1;  // our end of the socket pair; -1: no call stands

// ---- Control connection. These run in pppd during connect_call(), later in the keeper.

static bool send_message(int control, void* message, uint16_t type, size_t size) {
  struct header* header = message;
  header->length = htons((uint16_t)size);
  header->message_type = htons(1);
  header->magic = htonl(kMagic);
  header->type = htons(type);
  return send(control, message, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool read_all(int control, void* out, size_t size) {
  return recv(control, out, size, MSG_WAITALL) == (ssize_t)size;
}

// One whole message. Its type in host order; -1: closed, too late, or no PPTP. SO_RCVTIMEO bounds
// the wait.
static int receive(int control, union message* message) {
  memset(message, 0, sizeof(*message));
  if (!read_all(control, message, sizeof(message->header))) return -1;
  const size_t size = ntohs(message->header.length);
  if (size < sizeof(message->header) || size > sizeof(*message) ||
      ntohl(message->header.magic) != kMagic)
    return -1;
  if (size > sizeof(message->header) &&
      !read_all(control, message->octets + sizeof(message->header), size - sizeof(message->header)))
    return -1;
  return ntohs(message->header.type);
}

// Answers what wants an answer. False: the connection is over.
static bool answer(int control, int type, const union message* message) {
  if (type == kEchoRequest) {
    struct echo_reply reply = {.identifier = message->echo.identifier, .result = 1};
    return send_message(control, &reply, kEchoReply, sizeof(reply));
  }
  if (type == kStopRequest) {
    struct stop reply = {.reason = 1};
    (void)send_message(control, &reply, kStopReply, sizeof(reply));
    return false;
  }
  return type >= 0;
}

// Waits for a message of this type and answers others meanwhile.
static bool expect(int control, int wanted, union message* message) {
  for (;;) {
    const int type = receive(control, message);
    if (type == wanted) return true;
    if (!answer(control, type, message)) return false;
  }
}

static void limit_waits(int control, int seconds) {
  const struct timeval limit = {.tv_sec = seconds};
  (void)setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  (void)setsockopt(control, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // connect() too
}

// ---- The keeper: standard input is the control connection, standard output the socket pair.

static void farewell(uint16_t call_id) {
  union message message;
  struct call_clear clear = {.call_id = call_id};
  struct stop stop = {.reason = 1};
  limit_waits(STDIN_FILENO, kFarewellSeconds);
  if (send_message(STDIN_FILENO, &clear, kCallClearRequest, sizeof(clear)) &&
      expect(STDIN_FILENO, kCallDisconnectNotify, &message) &&
      send_message(STDIN_FILENO, &stop, kStopRequest, sizeof(stop)))
    (void)expect(STDIN_FILENO, kStopReply, &message);
}

// Call IDs in network byte order.
static void keep(uint16_t our_call_id, uint16_t peers_call_id) {
  struct pollfd watched[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = STDOUT_FILENO, .events = POLLIN}};
  union message message;
  for (;;) {
    if (poll(watched, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (watched[1].revents != 0) {
      farewell(our_call_id);
      return;
    }
    if (watched[0].revents == 0) continue;
    const int type = receive(STDIN_FILENO, &message);
    if (!answer(STDIN_FILENO, type, &message)) return;
    // The field holds the Call ID of the end that sends it (RFC 2637 §2.13).
    if (type == kCallDisconnectNotify && message.call_clear.call_id == peers_call_id) return;
  }
}

// In pppd, from its main loop: the keeper has ended.
static void on_keeper_ended(void* unused) {
  (void)unused;
  if (keeper_link < 0) return;  // it ended because we hung up
  notice("kernel_pptp: the control connection is over");
  hungup = 1;
  status = EXIT_HANGUP;
  lcp_lowerdown(0);
  link_terminated(0);
}

static bool start_keeper(int control, uint16_t our_call_id, uint16_t peers_call_id) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
  const pid_t pid = safe_fork(control, pair[1], log_to_fd >= 0 ? log_to_fd : STDERR_FILENO);
  if (pid == 0) {
    close(pair[0]);  // safe_fork() has called close_in_child()
    // pppd's handlers are not for us. What ends pppd ends the call by way of the socket pair.
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    keep(our_call_id, peers_call_id);
    _exit(0);
  }
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    return false;
  }
  keeper_link = pair[0];
  static char name[] = "kernel_pptp keeper";
  record_child(pid, name, on_keeper_ended, NULL, 0);
  return true;
}

// ---- The call, in pppd.

static int open_control(struct in_addr to) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  const int one = 1;
  const int control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (control < 0) return -1;
  limit_waits(control, kAnswerSeconds);
  (void)setsockopt(control, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  bool good = true;
  if (from != NULL)
    good = inet_pton(AF_INET, from, &address.sin_addr) == 1 &&
           bind(control, (const struct sockaddr*)&address, sizeof(address)) == 0;
  address.sin_addr = to;
  address.sin_port = htons(kPort);
  if (good && connect(control, (const struct sockaddr*)&address, sizeof(address)) == 0)
    return control;
  close(control);
  return -1;
}

static bool start_control(int control) {
  union message message;
  struct start request = {.version = htons(0x0100),
                          .framing = htonl(3),
                          .bearer = htonl(3),
                          .host = "lab",
                          .vendor = "kernel_pptp"};
  return send_message(control, &request, kStartRequest, sizeof(request)) &&
         expect(control, kStartReply, &message) && message.start.result == 1;
}

// The kernel's socket with a Call ID of its own choice, which is returned; 0: failed.
static uint16_t bind_pppox(int control) {
  struct sockaddr_in local;
  socklen_t size = sizeof(local);
  if (getsockname(control, (struct sockaddr*)&local, &size) != 0) return 0;
  struct sockaddr_pppox address = {.sa_family = AF_PPPOX, .sa_protocol = PX_PROTO_PPTP};
  address.sa_addr.pptp.sin_addr = local.sin_addr;
  pppox = socket(AF_PPPOX, SOCK_STREAM | SOCK_CLOEXEC, PX_PROTO_PPTP);
  size = sizeof(address);
  if (pppox < 0 || bind(pppox, (const struct sockaddr*)&address, size) != 0 ||
      getsockname(pppox, (struct sockaddr*)&address, &size) != 0)
    return 0;
  return address.sa_addr.pptp.call_id;
}

// Dials. Call IDs: the kernel's interface has them in host order (net/ipv4/gre: htons on use).
static bool dial(int control, struct in_addr to) {
  const uint16_t ours = bind_pppox(control);
  if (ours == 0) {
    error("kernel_pptp: no PPTP socket: %m");
    return false;
  }
  union message message;
  struct call_request request = {.call_id = htons(ours),
                                 .serial = htons(1),
                                 .minimum_bps = htonl(2400),
                                 .maximum_bps = htonl(1000000000),
                                 .bearer = htonl(3),
                                 .framing = htonl(3),
                                 .window = htons(50)};
  if (!send_message(control, &request, kOutgoingCallRequest, sizeof(request)) ||
      !expect(control, kOutgoingCallReply, &message) || message.call_reply.result != 1 ||
      message.call_reply.peers_call_id != htons(ours)) {
    error("kernel_pptp: the server refuses the call: result %d, error %d",
          message.call_reply.result, message.call_reply.error);
    return false;
  }
  const uint16_t theirs = ntohs(message.call_reply.call_id);
  struct sockaddr_pppox address = {.sa_family = AF_PPPOX, .sa_protocol = PX_PROTO_PPTP};
  address.sa_addr.pptp.sin_addr = to;
  address.sa_addr.pptp.call_id = theirs;
  if (connect(pppox, (const struct sockaddr*)&address, sizeof(address)) != 0) {
    error("kernel_pptp: the kernel refuses the call: %m");
    return false;
  }
  struct link_info info = {.peers_call_id = htons(theirs),
                           .send_accm = htonl(0xffffffff),
                           .receive_accm = htonl(0xffffffff)};
  return send_message(control, &info, kSetLinkInfo, sizeof(info)) &&
         start_keeper(control, htons(ours), htons(theirs));
}

// pppd asks for a channel. -1: failed, and `status` says so.
static int connect_call(void) {
  struct in_addr to;
  status = EXIT_CONNECT_FAILED;
  if (server == NULL || inet_pton(AF_INET, server, &to) != 1) {
    error("kernel_pptp: pptp_server is no IPv4 address");
    return -1;
  }
  const int control = open_control(to);
  if (control < 0) {
    error("kernel_pptp: no connection to %s: %m", server);
    return -1;
  }
  const bool good = start_control(control) && dial(control, to);
  if (!good && pppox >= 0) {
    close(pppox);
    pppox = -1;
  }
  close(control);  // the keeper's copy stays
  if (good) status = EXIT_OK;
  return pppox;
}

static void hang_up(void) {
  if (keeper_link >= 0) close(keeper_link);
  keeper_link = -1;
  if (pppox >= 0) close(pppox);
  pppox = -1;
}

// In a child that pppd has forked: the call is not its own.
static void close_in_child(void) {
  if (pppox >= 0) close(pppox);
  if (keeper_link >= 0) close(keeper_link);
}

static char kServerName[] = "pptp_server";
static char kServerHelp[] = "IPv4 address of the PPTP server";
static char kFromName[] = "pptp_from";
static char kFromHelp[] = "IPv4 address to call from";
static option_t options[] = {
    {.name = kServerName, .type = o_string, .addr = &server, .description = kServerHelp},
    {.name = kFromName, .type = o_string, .addr = &from, .description = kFromHelp},
    {.name = NULL},
};

static struct channel channel = {
    .options = options,
    .connect = connect_call,
    .disconnect = hang_up,
    .establish_ppp = generic_establish_ppp,
    .disestablish_ppp = generic_disestablish_ppp,
    .close = close_in_child,
};

void plugin_init(void) {
  the_channel = &channel;
  modem = 0;  // there are no modem lines to look at
}
