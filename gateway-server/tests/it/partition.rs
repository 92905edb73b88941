//! A wire that can be cut: forwards connections to a server until it is told to stop, and then keeps silent as a network does.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub struct Wire {
    pub address: SocketAddr,
    is_cut: watch::Sender<bool>,
    lost: watch::Sender<()>,
    forwarding: JoinHandle<()>,
}

impl Wire {
    /// A wire to `server`, at an address of its own.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, watched) = watch::channel(false);
        let lost = watch::Sender::new(());
        let losing = lost.clone();
        let forwarding = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (watched, mut lost) = (watched.clone(), losing.subscribe());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        () = forward(near, far, watched) => (),
                        _ = lost.changed() => (),
                    }
                });
            }
        });
        Self { address, is_cut, lost, forwarding }
    }

    /// Forwards nothing from now on, in either direction. Connections stay open.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Ends the connections that there are, and with them what has waited.
    pub fn lose(&self) {
        self.lost.send_replace(());
    }

    /// Forwards again, also what has waited meanwhile.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

async fn forward(near: TcpStream, far: TcpStream, is_cut: watch::Receiver<bool>) {
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (near_reader, near_writer) = near.into_split();
    let (far_reader, far_writer) = far.into_split();
    tokio::join!(pump(near_reader, far_writer, is_cut.clone()), pump(far_reader, near_writer, is_cut));
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut is_cut: watch::Receiver<bool>,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count) = from.read(&mut bytes).await {
        if is_cut.wait_for(|cut| !cut).await.is_err() {
            return;
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    // The other side has gone: so does this one.
    let _ = to.shutdown().await;
}
