//! The network lock: what keeps the packets of a connection away while there is no socket for it.

use lab::{Blackhole, Direction, Error, Host, Match};

/// Drops what comes in for a connection on these hosts, and what goes out; until the locks are dropped.
///
/// What goes out as well: a timer of the socket could send something that its snapshot calls unsent.
pub(crate) fn around(
    hosts: &[&Host],
    inbound: Match,
    outbound: Match,
) -> Result<Vec<Blackhole>, Error> {
    let sides = [(Direction::Ingress, inbound), (Direction::Egress, outbound)];
    let each = |(direction, matching)| {
        hosts
            .iter()
            .map(move |host| host.blackhole(direction, matching))
    };
    sides.into_iter().flat_map(each).collect()
}
