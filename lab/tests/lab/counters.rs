//! Counters: only what moved, on the host where it moved.

use crate::Case;
use lab::{Family, Pair};
use libtest_mimic::Failed;

pub(crate) const CASES: &[Case] = &[(
    "counters/a_connection_moves_those_of_its_ends",
    a_connection_moves_those_of_its_ends,
)];

fn a_connection_moves_those_of_its_ends() -> Result<(), Failed> {
    let pair = Pair::new()?;
    let (client, server) = (pair.a().counters()?, pair.b().counters()?);
    let _connection = pair.connection(Family::V4).open()?;
    let client = pair.a().counters()?.since(&client);
    let server = pair.b().counters()?.since(&server);
    assert_eq!(client.by("Tcp.ActiveOpens"), 1, "{client}");
    assert_eq!(client.by("Tcp.PassiveOpens"), 0, "{client}");
    assert_eq!(server.by("Tcp.PassiveOpens"), 1, "{server}");
    assert_eq!(server.by("Tcp.ActiveOpens"), 0, "{server}");
    assert!(!client.to_string().contains("RetransSegs"), "{client}");
    Ok(())
}
