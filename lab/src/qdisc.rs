//! Traffic control: queueing disciplines of a link, and filters by that called `clsact`.

use crate::error::Error;
use crate::netlink::Netlink;
use crate::packet::Direction;
use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcMessage, TcOption,
};

pub(crate) use rtnetlink::packet_route::tc::TcHandle;

/// `TCA_OPTIONS`, for those kinds that the crate does not know.
const OPTIONS: u16 = 2;
/// `TCA_BPF_OPS_LEN` and `TCA_BPF_OPS`, which the crate has no names for.
const OPS_LEN: u16 = 4;
const OPS: u16 = 5;
/// The size of one classic BPF instruction, in bytes.
const INSTRUCTION: usize = 8;

/// A filter on a link; the three together are its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) index: u32,
    pub(crate) priority: u16,
    pub(crate) direction: Direction,
}

impl Filter {
    fn message(self) -> TcMessage {
        let mut message = link_message(self.index);
        message.header.parent = TcHandle {
            major: TcHandle::CLSACT.major,
            minor: match self.direction {
                Direction::Ingress => TcHandle::MIN_INGRESS,
                Direction::Egress => TcHandle::MIN_EGRESS,
            },
        };
        let every_protocol = (libc::ETH_P_ALL as u16).to_be();
        message.header.info = u32::from(self.priority) << 16 | u32::from(every_protocol);
        message
    }
}

/// Lets a link have filters, while it is down: one that is up loses what is sent meanwhile (`qdisc_graft`, `dev_deactivate`).
///
/// A kernel that cannot says so when there is to be a filter.
pub(crate) fn prepare_filters(
    netlink: &Netlink,
    index: u32,
    doing: impl Fn() -> String,
) -> Result<(), Error> {
    netlink.run(doing, |handle| async move {
        match add_clsact(&handle, index).await {
            Err(error)
                if [libc::ENOENT, libc::EOPNOTSUPP]
                    .iter()
                    .any(|&it| has_code(&error, it)) =>
            {
                Ok(())
            }
            other => other,
        }
    })
}

/// Where there is none yet.
async fn add_clsact(handle: &Handle, index: u32) -> Result<(), rtnetlink::Error> {
    let mut message = link_message(index);
    message.header.handle = TcHandle {
        major: TcHandle::CLSACT.major,
        minor: 0,
    };
    message.header.parent = TcHandle::CLSACT;
    message
        .attributes
        .push(TcAttribute::Kind("clsact".to_owned()));
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    match send(handle, message, NLM_F_CREATE | NLM_F_EXCL).await {
        Err(error) if has_code(&error, libc::EEXIST) => Ok(()),
        other => other,
    }
}

/// Attaches a classic BPF program, as the bytes of its instructions, whose answer is the verdict on the packet.
pub(crate) fn add_filter(
    netlink: &Netlink,
    filter: Filter,
    program: &[u8],
    doing: impl Fn() -> String,
) -> Result<(), Error> {
    let length = (program.len() / INSTRUCTION) as u16;
    let options = [
        TcFilterBpfOption::Other(DefaultNla::new(OPS_LEN, length.to_ne_bytes().to_vec())),
        TcFilterBpfOption::Other(DefaultNla::new(OPS, program.to_vec())),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let mut message = filter.message();
    message
        .attributes
        .push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
    message
        .attributes
        .push(TcAttribute::Options(options.map(TcOption::Bpf).to_vec()));

    netlink.run(doing, |handle| async move {
        // `prepare_filters` has done it, unless the kernel could not.
        add_clsact(&handle, filter.index).await?;
        let message = RouteNetlinkMessage::NewTrafficFilter(message);
        send(&handle, message, NLM_F_CREATE | NLM_F_EXCL).await
    })
}

/// Gives a link a queueing discipline; `options` are the bytes of `TCA_OPTIONS`, whose form each kind has of its own.
pub(crate) fn add_qdisc(
    netlink: &Netlink,
    index: u32,
    parent: TcHandle,
    handle: TcHandle,
    kind: &str,
    options: Vec<u8>,
    doing: impl Fn() -> String,
) -> Result<(), Error> {
    let mut message = link_message(index);
    message.header.parent = parent;
    message.header.handle = handle;
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    message
        .attributes
        .push(TcAttribute::Other(DefaultNla::new(OPTIONS, options)));
    netlink.run(doing, |netlink| async move {
        let message = RouteNetlinkMessage::NewQueueDiscipline(message);
        send(&netlink, message, NLM_F_CREATE | NLM_F_EXCL).await
    })
}

/// Takes a filter away.
pub(crate) fn delete_filter(netlink: &Netlink, filter: Filter) -> Result<(), Error> {
    let message = RouteNetlinkMessage::DelTrafficFilter(filter.message());
    netlink.run(
        || {
            format!(
                "take filter {} from link number {}",
                filter.priority, filter.index
            )
        },
        |handle| async move { send(&handle, message, 0).await },
    )
}

fn link_message(index: u32) -> TcMessage {
    // An interface index is positive and fits.
    TcMessage::with_index(index as i32)
}

/// Sends a request that rtnetlink has no builder for, and waits until the kernel has done it.
async fn send(
    handle: &Handle,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Result<(), rtnetlink::Error> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut answers = handle.clone().request(request)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            return Err(rtnetlink::Error::NetlinkError(error));
        }
    }
    Ok(())
}

fn has_code(error: &rtnetlink::Error, code: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -code)
}
