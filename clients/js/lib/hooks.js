'use strict';
// For libraries that have a place of their own where to wait.

const { UnsupportedLibrary } = require('./errors.js');
const { inTurn } = require('./turn.js');

const OPEN = 1;

/** Makes the shards of a cloudstorm client wait for their turn. Call it before connect(). */
function cloudstorm(bot, client) {
  const manager = bot?.shardManager;
  if (typeof manager?._addListener !== 'function') {
    throw new UnsupportedLibrary('bot: want a Client of cloudstorm, whose shardManager has _addListener');
  }
  const listen = manager._addListener;
  manager._addListener = function (shard) {
    const result = listen.call(this, shard);
    if (typeof shard.connector?.identify !== 'function' || shard.listenerCount('queueIdentify') !== 1) {
      throw new UnsupportedLibrary('bot: its shards do not identify at queueIdentify: this version is not known');
    }
    let giveUp;
    shard.removeAllListeners('queueIdentify');
    shard.on('queueIdentify', () => {
      giveUp?.();
      const { connector } = shard;
      giveUp = inTurn(client, shard.id, () => connector.betterWs.status === OPEN, () => {
        connector.identify();
        return true;
      });
    });
    shard.on('disconnect', () => giveUp?.());
    return result;
  };
}

/** Makes a Gateway.Socket of detritus-client-socket wait for its turn. Call it before connect(). */
function detritus(socket, client) {
  if (typeof socket?.identify !== 'function' || typeof socket.identifyTry !== 'function') {
    throw new UnsupportedLibrary('socket: want a Gateway.Socket of detritus-client-socket, with identifyTry');
  }
  let giveUp;
  socket.onIdentifyCheck = () => {
    giveUp?.();
    const connection = socket.socket;
    const isOpen = () => socket.socket === connection && Boolean(connection?.connected);
    giveUp = inTurn(client, socket.shardId, isOpen, () => {
      // After Invalid Session it would never identify: it thinks that it is resuming, or ready.
      if (socket.state !== 'OPEN') socket.setState('OPEN');
      socket.identify();
      return true;
    });
    return false; // it is called when the turn has come
  };
}

module.exports = { cloudstorm, detritus };
