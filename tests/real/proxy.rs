//! What may stand between the agent and a server: a wire that is cut, a server that hangs, a certificate.
//!
//! In: connections to its port, how to treat them. Out: the same bytes to and from the server, or not. Promises: a
//! change of the treatment holds for connections that are open, too: they end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::machine::{Random, free_port};
use crate::nodes::RUNTIME;

/// How connections are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// All bytes pass.
    Open,
    /// What comes is read, and never answered.
    Silent,
    /// The server does what it is asked for; then, for so many of a hundred answers, the connection is cut before a
    /// byte of the answer passes.
    Cut(u64),
}

/// A listening proxy; it ends when dropped.
pub struct Proxy {
    /// Where clients connect, without the scheme.
    pub address: String,
    way: watch::Sender<Way>,
    certificate: Arc<Mutex<Option<TlsAcceptor>>>,
    cuts: Arc<Mutex<u64>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    to: String,
    way: watch::Receiver<Way>,
    certificate: Arc<Mutex<Option<TlsAcceptor>>>,
    cuts: Arc<Mutex<u64>>,
    random: Mutex<Random>,
}

impl Proxy {
    /// A proxy to a server (`http://…`) that speaks plain text.
    pub fn new(to: &str, way: Way) -> Proxy {
        let address = format!("127.0.0.1:{}", free_port());
        let (sender, receiver) = watch::channel(way);
        let (certificate, cuts) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(0)));
        let shared = Arc::new(Shared {
            to: to.replace("http://", ""),
            way: receiver,
            certificate: Arc::clone(&certificate),
            cuts: Arc::clone(&cuts),
            random: Mutex::new(Random::new()),
        });
        let listener = RUNTIME.block_on(TcpListener::bind(&address)).unwrap();
        let task = RUNTIME.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&shared)));
            }
        });
        Proxy { address, way: sender, certificate, cuts, task }
    }

    /// Treats connections so from now on.
    pub fn set(&self, way: Way) {
        self.way.send(way).unwrap();
    }

    /// Speaks TLS with this certificate on connections from now on.
    pub fn show(&self, certificate: &Path, key: &Path) {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap();
        let chain: Vec<_> = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(chain, key).unwrap();
        *self.certificate.lock().unwrap() = Some(TlsAcceptor::from(Arc::new(config)));
    }

    /// How many answers were cut off.
    pub fn cuts(&self) -> u64 {
        *self.cuts.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut way = shared.way.clone();
    let now = *way.borrow_and_update();
    let acceptor = shared.certificate.lock().unwrap().clone();
    let served = async {
        match acceptor {
            None => pass(client, &shared, now).await,
            Some(acceptor) => match acceptor.accept(client).await {
                Ok(client) => pass(client, &shared, now).await,
                Err(_) => None,
            },
        }
    };
    tokio::select! {
        _ = served => {}
        _ = way.changed() => {}
    }
}

/// Until one side ends, or the connection is to be cut.
async fn pass(
    client: impl AsyncRead + AsyncWrite + Unpin,
    shared: &Shared,
    way: Way,
) -> Option<()> {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    if way == Way::Silent {
        tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await.ok()?;
        return None;
    }
    let mut server = TcpStream::connect(&shared.to).await.ok()?;
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
            let begins = buffer[..read].starts_with(b"HTTP/1.1 ");
            if let Way::Cut(percent) = way
                && begins
                && shared.random.lock().unwrap().below(100) < percent
            {
                *shared.cuts.lock().unwrap() += 1;
                return None;
            }
            to_client.write_all(&buffer[..read]).await.ok()?;
        }
    };
    tokio::select! {
        done = answers => done,
        _ = tokio::io::copy(&mut from_client, &mut to_server) => None,
    }
}
