# Files, processes, pipes, signals, sorting, regular expressions, a tied database, packing.
use strict; use warnings;
use File::Temp 'tempdir'; use File::Find; use POSIX ':sys_wait_h'; use Storable; use Time::HiRes 'sleep';
use IPC::Open3; use Digest::MD5 'md5_hex'; use List::Util 'sum'; use Encode;
$| = 1;
my $directory = tempdir(CLEANUP => 1);
for my $n (1 .. 5) {
    open(my $out, '>', "$directory/f$n") or die $!;
    print $out "line $_ of $n\n" for 1 .. $n;
}
my @found;
find(sub { push @found, "$_ " . -s if -f }, $directory);
print join(', ', sort @found), "\n";
my %count;
for my $path (glob "$directory/*") {
    open(my $in, '<', $path) or die $!;
    while (<$in>) { $count{$1}++ if /^line (\d+)/ }
}
print "$_=$count{$_} " for sort keys %count;
print "\n", sum(map { $_ ** 2 } 1 .. 100), ' ', md5_hex('x' x 1000), "\n";
my @children;
for my $n (1 .. 4) {
    my $pid = fork // die $!;
    exit $n unless $pid;
    push @children, $pid;
}
print join(' ', map { waitpid($_, 0); WEXITSTATUS($?) } @children), "\n";
my $pid = open3(my $in, my $out, undef, 'sort', '-r');
print $in "$_\n" for qw(b c a);
close $in;
print map { chomp; "$_;" } <$out>;
waitpid $pid, 0;
print "\n", scalar `echo from a shell`;
my $got = 0;
local $SIG{USR1} = sub { $got++ };
local $SIG{ALRM} = sub { die "alarm\n" };
kill USR1 => $$;
print "signals: $got\n";
eval { alarm 1; select undef, undef, undef, 20; };
print "ended by $@";
store { a => [1, 2, { b => 3 }] }, "$directory/stored";
print retrieve("$directory/stored")->{a}[2]{b}, "\n";
symlink 'f1', "$directory/link" or die $!;
print readlink("$directory/link"), ' ', (lstat "$directory/link")[7], "\n";
printf "%s %s\n", unpack('H*', pack('nNv', 1, 2, 3)), length decode('UTF-8', "\xc3\xa4\xe2\x82\xac");
open(my $missing, '<', "$directory/none") or print "$!\n";
system('sh', '-c', 'exit 3');
print $? >> 8, "\n";
(my $text = 'the quick brown fox') =~ s/(\w+)/\u$1/g;
print "$text\n";
pipe(my $read, my $write);
if (!fork) { close $read; print $write "through the pipe\n"; exit }
close $write;
print <$read>;
wait;
