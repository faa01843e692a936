# Tries what the unit forbids and what it has to allow; prints "NAME ok" or "NAME <error>".
# Only for machines that are thrown away: as root without a sandbox it does these things.
# perl, as it is in every Debian; `syscall` takes numbers: $ARGV[0] says which.
use strict;
use warnings;
use Socket;

my %numbers_on = (
    x86_64  => { mmap => 9, personality => 135, sched_setscheduler => 144, mount => 165,
                 sethostname => 170, unshare => 272 },
    aarch64 => { mmap => 222, personality => 92, sched_setscheduler => 119, mount => 40,
                 sethostname => 161, unshare => 97 },
);
my %numbers = %{ $numbers_on{ $ARGV[0] } };
my ($read_write_execute, $private_anonymous) = (7, 0x22);
my ($new_user, $linux32, $fifo, $netlink) = (0x10000000, 8, 1, 16);
my $name = "probe";    # buffers, as `syscall` may write to what it is given
my $priority = pack "i", 1;
my $page = "\0" x 128;

sub try {
    my ($what, $code) = @_;
    local $! = 0;
    my $worked = $code->();
    printf "%s %s\n", $what, $worked ? "ok" : ($!{ENOENT} ? "hidden" : (lc "$!") =~ s/ /-/gr);
}
sub call {
    my ($number, @arguments) = @_;
    return syscall($numbers{$number}, @arguments) != -1;
}
sub opens { my ($mode, $path) = @_; open my $file, $mode, $path }

try "write-usr",     sub { opens ">", "/usr/probe" };
try "write-etc",     sub { opens ">", "/etc/probe" };
try "write-var",     sub { opens ">", "/var/probe" };
try "write-tmp",     sub { opens ">", "/tmp/probe" };
try "make-cgroup",   sub { mkdir "/sys/fs/cgroup/probe" };
try "read-home",     sub { opens "<", "/home/person/secret" };
try "read-kmsg",     sub { opens "<", "/proc/kmsg" };
try "open-device",   sub { opens "+<", "/dev/net/tun" };
try "open-null",     sub { opens "+<", "/dev/null" };
try "see-process-1", sub { opens "<", "/proc/1/status" };
try "become-root",   sub { $> = 0; !$! };
try "setuid-file",   sub { opens ">", "/tmp/file" and chmod 04755, "/tmp/file" };
try "inet",          sub { socket my $s, AF_INET, SOCK_STREAM, 0 };
try "netlink",       sub { socket my $s, $netlink, SOCK_RAW, 0 };
try "personality",   sub { call("personality", $linux32) };
try "write-execute", sub { call("mmap", 0, 4096, $read_write_execute, $private_anonymous, -1, 0) };
try "realtime",      sub { call("sched_setscheduler", 0, $fifo, $priority) };
try "mount",         sub { call("mount", $name, "/srv", "tmpfs", 0, 0) };
try "hostname",      sub { call("sethostname", $name, length $name) };
try "unshare",       sub { call("unshare", $new_user) };    # last: it gives all other rights up
