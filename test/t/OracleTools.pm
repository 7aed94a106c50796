# What the processes of the oracle (100_oracle.pl) share: chance, files by
# which they talk to each other, and connections that survive crashes.

package OracleTools;

use strict;
use warnings;

use Exporter 'import';
use MigspecTest;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  chance pick same shown set_directory put_file get_file append_file lines_of
  set_server reconnect is_lost patience
);

my ($directory, $node);

# No wait for anything may take longer (s): then something hangs.
sub patience { return 90; }

sub chance { return rand() < $_[0]; }
sub pick { return $_[ rand @_ ]; }

# Are two values equal, NULL being equal to NULL?
sub same
{
	my ($x, $y) = @_;

	return defined $x ? defined $y && $x eq $y : !defined $y;
}

sub shown { return defined $_[0] ? "'" . substr($_[0], 0, 60) . "'" : 'NULL'; }

sub set_directory { $directory = $_[0]; return; }

# Files appear at once, so that no reader sees half of one.
sub put_file
{
	my ($name, $text) = @_;

	open my $fh, '>', "$directory/$name.$$" or die "$name: $!";
	print $fh $text;
	close $fh;
	rename "$directory/$name.$$", "$directory/$name" or die "$name: $!";
	return;
}

# The text of a file, undef if there is none
sub get_file
{
	my ($name) = @_;

	open my $fh, '<', "$directory/$name" or return undef;
	local $/;
	return scalar <$fh>;
}

sub append_file
{
	my ($name, $line) = @_;

	open my $fh, '>>', "$directory/$name" or die "$name: $!";
	print $fh "$line\n";
	close $fh;
	return;
}

sub lines_of { return split /\n/, get_file($_[0]) // ''; }

sub set_server { $node = $_[0]; return; }

# Connect, as soon as the server lets us in.
sub reconnect
{
	my ($name) = @_;
	my $deadline = time() + patience();

	for (;;)
	{
		my $dbh = eval { connect_to($node, 'postgres', application_name => $name) };

		return $dbh if $dbh;
		die "no connection: $@" if time() > $deadline;
		sleep 0.05;
	}
}

# Was this error the end of the connection?
sub is_lost
{
	my ($dbh, $error) = @_;

	return 1 if ($dbh->state // '') =~ /^(57P0[1-5]|08)/;
	return 1 if $error =~ /server closed the connection|no connection to the server/;
	return !$dbh->ping;
}

1;
