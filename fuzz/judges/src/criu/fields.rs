//! What the first decoder has read, as the second has it: a value for each field, in the order of the schema.

use super::second::{Read, Value};
use soccr::criu::{
    FileEntry, FownEntry, InetSkEntry, IpOptsEntry, SkOptsEntry, TcpOptsEntry, TcpStreamEntry,
};

/// Something that can be in a field.
trait Field {
    fn value(&self) -> Value;
}

impl Field for u32 {
    fn value(&self) -> Value {
        Value::Number((*self).into())
    }
}

impl Field for i32 {
    fn value(&self) -> Value {
        self.cast_unsigned().value()
    }
}

impl Field for u64 {
    fn value(&self) -> Value {
        Value::Number(*self)
    }
}

impl Field for bool {
    fn value(&self) -> Value {
        Value::Number((*self).into())
    }
}

impl Field for Vec<u8> {
    fn value(&self) -> Value {
        Value::Bytes(self.clone())
    }
}

impl<T: Field> Field for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::None, Field::value)
    }
}

/// A row of numbers. That there is none cannot be told from that the field is not there, or is there and empty.
fn numbers<T: Copy + Into<u64>>(row: &[T]) -> Value {
    Value::Numbers(row.iter().map(|it| (*it).into()).collect())
}

/// The values of fields, one after the other.
macro_rules! read {
    ($($value:expr),* $(,)?) => { Read(vec![$($value),*]) };
}

fn message(read: Read) -> Value {
    Value::Message(read)
}

pub(super) fn tcp_stream(it: &TcpStreamEntry) -> Read {
    read![
        it.inq_len.value(),
        it.inq_seq.value(),
        it.outq_len.value(),
        it.outq_seq.value(),
        it.opt_mask.value(),
        it.snd_wscale.value(),
        it.mss_clamp.value(),
        it.rcv_wscale.value(),
        it.timestamp.value(),
        it.cork.value(),
        it.nodelay.value(),
        it.unsq_len.value(),
        it.snd_wl1.value(),
        it.snd_wnd.value(),
        it.max_window.value(),
        it.rcv_wnd.value(),
        it.rcv_wup.value(),
    ]
}

pub(super) fn file(it: &FileEntry) -> Read {
    let socket = it.isk.as_ref();
    read![
        it.kind.value(),
        it.id.value(),
        socket.map_or(Value::None, |it| message(inet_sk(it))),
    ]
}

pub(super) fn inet_sk(it: &InetSkEntry) -> Read {
    read![
        it.id.value(),
        it.ino.value(),
        it.family.value(),
        it.kind.value(),
        it.proto.value(),
        it.state.value(),
        it.src_port.value(),
        it.dst_port.value(),
        it.flags.value(),
        it.backlog.value(),
        numbers(&it.src_addr),
        numbers(&it.dst_addr),
        message(fown(&it.fown)),
        message(sk_opts(&it.opts)),
        it.v6only.value(),
        it.ip_opts
            .as_ref()
            .map_or(Value::None, |it| message(ip_opts(it))),
        it.ifname.value(),
        it.ns_id.value(),
        it.shutdown.value(),
        it.tcp_opts
            .as_ref()
            .map_or(Value::None, |it| message(tcp_opts(it))),
    ]
}

fn fown(it: &FownEntry) -> Read {
    read![
        it.uid.value(),
        it.euid.value(),
        it.signum.value(),
        it.pid_type.value(),
        it.pid.value(),
    ]
}

fn sk_opts(it: &SkOptsEntry) -> Read {
    read![
        it.so_sndbuf.value(),
        it.so_rcvbuf.value(),
        it.so_snd_tmo_sec.value(),
        it.so_snd_tmo_usec.value(),
        it.so_rcv_tmo_sec.value(),
        it.so_rcv_tmo_usec.value(),
        it.reuseaddr.value(),
        it.so_priority.value(),
        it.so_rcvlowat.value(),
        it.so_mark.value(),
        it.so_passcred.value(),
        it.so_passsec.value(),
        it.so_dontroute.value(),
        it.so_no_check.value(),
        it.so_bound_dev.value(),
        numbers(&it.so_filter),
        it.so_reuseport.value(),
        it.so_broadcast.value(),
        it.so_keepalive.value(),
        it.tcp_keepcnt.value(),
        it.tcp_keepidle.value(),
        it.tcp_keepintvl.value(),
        it.so_oobinline.value(),
        it.so_linger.value(),
        it.so_buf_lock.value(),
    ]
}

fn ip_opts(it: &IpOptsEntry) -> Read {
    read![
        it.freebind.value(),
        it.raw.value(),
        it.pktinfo.value(),
        it.tos.value(),
        it.ttl.value(),
    ]
}

fn tcp_opts(it: &TcpOptsEntry) -> Read {
    read![
        it.cork.value(),
        it.nodelay.value(),
        it.keepcnt.value(),
        it.keepidle.value(),
        it.keepintvl.value(),
    ]
}
